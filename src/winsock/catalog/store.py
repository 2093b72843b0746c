"""The catalog on disk: one file per user, changed by one transaction at a time, whole at every moment.

No file means the built-in entries; the first change writes one. A file, or a folder, that somebody else could write is
not believed: whoever writes the catalog decides what code runs in every program that starts Winsock. SQLite does the
transactions, and is imported only where there is a file (`winsock.catalog.database`).

Nothing stays open: each reading and each change opens the file and closes it, so nothing is carried across a fork.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from winsock.abi.errors import WSANO_RECOVERY, WinsockError
from winsock.catalog.entries import Catalog

VARIABLE = "WINSOCK_CATALOG"
"""The environment variable that names another file."""
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""How file systems say that they have no second names for a file."""


class Application(NamedTuple):
    """An application and the LSP categories that it permits."""

    path: str
    extra: str | None
    """Its arguments, where they tell it from others of the same path."""
    categories: int


class Installed(NamedTuple):
    """All that the file holds. A value: a change makes another."""

    native: Catalog
    twin: Catalog
    """The view of 32-bit programs."""
    applications: tuple[Application, ...] = ()
    generation: int = 0
    """Another number after every change; 0 where nothing was ever changed."""


def built_in() -> Installed:
    """What there is without a file."""
    return Installed(Catalog(), Catalog())


def location() -> str:
    """The path of the file, whether there is one or not."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return os.path.abspath(chosen)
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        data = os.path.expanduser("~/.local/share")
    return os.path.join(data, "winsock", "catalog.sqlite")


def read() -> Installed:
    """What is installed now. Raises WSANO_RECOVERY where the file is damaged, or others can write it."""
    path = location()
    if not os.path.exists(path):
        return built_in()
    _check_trust(path)
    from winsock.catalog import database

    return database.read(path)


def change(transform: Callable[[Installed], Installed]) -> Installed:
    """Put what `transform` makes of the file's contents in their place; what it raises leaves them as they are.

    It may be asked more than once, and only the last answer counts.
    Raises WSANO_RECOVERY where the file cannot be changed, WSAEINPROGRESS where another change does not end.
    """
    path = location()
    if not os.path.exists(path):
        before = built_in()
        if transform(before) is before:  # nothing to be written; or it raises, and nothing is
            return before
        _create(path)
    _check_trust(path)
    from winsock.catalog import database

    return database.change(path, transform)


def reset() -> str | None:
    """Go back to the built-in entries; the path under which the old file is kept, None where there was none."""
    path = location()
    if not os.path.lexists(path):
        return None
    kept, number = f"{path}.old", 1
    while os.path.lexists(kept):
        number += 1
        kept = f"{path}.old{number}"
    os.rename(path, kept)
    if os.path.lexists(f"{path}-journal"):
        os.rename(f"{path}-journal", f"{kept}-journal")  # an unfinished change belongs to its file
    return kept


def _create(path: str) -> None:
    """A catalog of nothing yet, which only its owner can write, where there is no file.

    It is made under another name, so that it is whole when it comes: an empty file is one that has lost what it held.
    """
    import tempfile

    from winsock.catalog import database

    folder, name = os.path.split(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(prefix=f"{name}~", dir=folder)
        os.close(descriptor)
        try:
            database.begin(unfinished)
            _put_in_place(unfinished, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(unfinished)
    except OSError as error:
        raise WinsockError(WSANO_RECOVERY, f"the catalog {path} cannot be written: {error.strerror}") from error


def _put_in_place(file: str, path: str) -> None:
    """Give the file its name, unless there is one of that name already, which somebody else has made."""
    try:
        os.link(file, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if not os.path.lexists(path):
            os.rename(file, path)


# Whom to believe.


def _check_trust(path: str) -> None:
    """Raises WSANO_RECOVERY where anybody but the user and root could have written the file, or it is none."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise WinsockError(WSANO_RECOVERY, f"the catalog {path} is refused: it is a folder or a device, and no file")
    for place in places(path):
        problem = distrust(place)
        if problem is not None:
            raise WinsockError(WSANO_RECOVERY, f"the catalog {path} is refused: {problem}")


def places(path: str) -> list[str]:
    """The folders and files that must be ours for the file to be so: whoever writes a folder can replace its files."""
    real = os.path.realpath(path)
    return list(dict.fromkeys((os.path.dirname(path), os.path.dirname(real), real)))


def distrust(place: str) -> str | None:
    """Why what a file or folder holds is not to be believed, and what to do; None where it is."""
    try:
        status = os.stat(place)
    except OSError as error:
        return f"{place}: {error.strerror}"
    if status.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to another user (uid {status.st_uid})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write {place}; to end that: chmod go-w {place}"
    return None
