"""Providers that are files: where they are, and whether they are what was installed.

What is installed runs in every program that starts Winsock, so a file that somebody else can write, or that has
changed since, is refused rather than run. A module that is imported by its name is Python's affair.
"""

from __future__ import annotations

import os

from winsock.abi.errors import WSAEINVAL, WSANO_RECOVERY, WinsockError
from winsock.catalog.store import distrust

AGAIN = "if the change is yours, install it again: winsock catalog install"


def expanded(path: str) -> str:
    """A path with the environment variables that it names, `%HOME%/layer.py`; unknown ones stay as they are."""
    if path.count("%") < 2:
        return path
    first, *rest = path.split("%")
    text, is_name = first, True
    for part in rest:
        if is_name and _is_set(part):
            text, is_name = text + os.environ[part], False
        elif is_name:
            text += "%" + part
        else:
            text, is_name = text + part, True
    return text


def _is_set(name: str) -> bool:
    try:
        return name in os.environ
    except UnicodeEncodeError:  # no variable of this host can be called so
        return False


def split(path: str) -> tuple[str, str]:
    """An import path as its module, or file, and its class, empty where it names none."""
    module, colon, name = path.rpartition(":")
    return (module, name) if colon else (path, "")


def file_of(path: str) -> str | None:
    """The file that an import path names; None where it names a module."""
    place = split(expanded(path))[0]
    return place if place.endswith(".py") else None


def kept(path: str) -> tuple[str, str]:
    """An import path as a catalog keeps it, and the digest of its file: a file by its absolute path.

    Raises WSAEINVAL where there is no such file, WSANO_RECOVERY where others can write it.
    """
    file = file_of(path)
    if file is None:
        return path, ""
    try:
        with open(file, "rb") as source:
            digest = digest_of(source.read())
    except OSError as error:
        raise WinsockError(WSAEINVAL, f"path: {file}: {error.strerror}") from error
    except ValueError as error:
        raise WinsockError(WSAEINVAL, f"path: {file!r} is no name of a file: {error}") from error
    problem = distrust(file)
    if problem is not None:
        raise WinsockError(WSANO_RECOVERY, f"path: {problem}")
    if expanded(path) == path:
        path = os.path.abspath(file) + path[len(file) :]
    return path, digest


def digest_of(source: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    from hashlib import sha256

    return sha256(source).hexdigest()


def problem_of(file: str, digest: str) -> str | None:
    """Why an installed file must not be run, and what to do about it; None where it may."""
    try:
        with open(file, "rb") as source:
            return problem_with(file, source.read(), digest)
    except OSError as error:
        return f"{file}: {error.strerror}"


def problem_with(file: str, source: bytes, digest: str) -> str | None:
    """The same, where the file has been read."""
    problem = distrust(file)
    if problem is not None:
        return problem
    if digest_of(source) != digest:
        return f"{file} has changed since it was installed; {AGAIN} {file}"
    return None
