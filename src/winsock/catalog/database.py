"""The tables of the catalog's file, and what SQLite's errors mean. Imported only where there is a file."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

from winsock.abi.errors import WSAEINPROGRESS, WSAEINVAL, WSANO_RECOVERY, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.catalog.settings import Settings
from winsock.catalog.store import Application, Installed, built_in

APPLICATION_ID = 0x57534331
"""In the file's head: "WSC1"."""
VERSION = 1
_MOST_DWORD = 0xFFFFFFFF
_MOST = (1 << 63) - 1
PATIENCE_S = 10.0
"""How long a change waits for another one."""

_SIGNATURE = f"PRAGMA application_id = {APPLICATION_ID}"
_TABLES = (
    "CREATE TABLE entry (view INTEGER, place INTEGER, info BLOB NOT NULL, path TEXT NOT NULL, options TEXT, "
    "digest TEXT NOT NULL, categories INTEGER NOT NULL, PRIMARY KEY (view, place))",
    "CREATE TABLE application (path TEXT NOT NULL, extra TEXT, categories INTEGER NOT NULL)",
    "CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    _SIGNATURE,
    f"PRAGMA user_version = {VERSION}",
)
_VIEWS = ("native", "twin")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def begin(path: str) -> None:
    """Make an empty file a catalog in which nothing was ever changed."""
    with _opened(path) as connection:
        connection.execute(_SIGNATURE)


def read(path: str) -> Installed:
    """What the file holds; errors as for `store.read`."""
    with _opened(path) as connection, _transaction(connection, "BEGIN"):
        return _contents(connection, path)


def change(path: str, transform: Callable[[Installed], Installed]) -> Installed:
    """One transaction; errors as for `store.change`, and what `transform` raises."""
    with _opened(path) as connection, _transaction(connection, "BEGIN IMMEDIATE"):
        before = _contents(connection, path)
        after = transform(before)
        if after is before:
            return before
        after = after._replace(generation=_next(before.generation))
        try:
            _put(connection, after, is_new=before.generation == 0)
        except UnicodeEncodeError as error:  # the name of a file may be no text
            raise WinsockError(WSAEINVAL, f"a catalog cannot keep the text {error.object!r}") from None
        return after


def check(path: str) -> None:
    """Let SQLite look through the whole file; raises WSANO_RECOVERY where it is damaged."""
    with _opened(path) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise _damaged(path, found[0])


def _next(generation: int) -> int:
    """The first one is random, so that a file which was begun anew is never taken for the old one."""
    return generation + 1 if generation else 1 + int.from_bytes(os.urandom(6), "little")


# Rows.


def _contents(connection: sqlite3.Connection, path: str) -> Installed:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0 and not connection.execute("SELECT * FROM sqlite_master").fetchall():
        if application_id == 0:
            raise _damaged(path, "it is empty")
        if application_id == APPLICATION_ID:
            return built_in()
    if application_id != APPLICATION_ID:
        raise WinsockError(WSANO_RECOVERY, f"{path} is a database of something else, no catalog of winsock")
    if version > VERSION:
        raise WinsockError(WSANO_RECOVERY, f"the catalog {path} was written by a newer winsock (format {version})")
    try:
        return _parsed(connection)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _parsed(connection: sqlite3.Connection) -> Installed:
    numbers = dict(connection.execute("SELECT name, value FROM number"))
    native, twin = (
        _catalog(map(_entry, connection.execute(_SELECT_ENTRIES, (view,))), numbers[name])
        for view, name in enumerate(_VIEWS)
    )
    applications = connection.execute("SELECT path, extra, categories FROM application ORDER BY rowid")
    return Installed(native, twin, tuple(map(_application, applications)), _number(numbers["generation"], 1, _MOST))


_SELECT_ENTRIES = "SELECT info, path, options, digest, categories FROM entry WHERE view = ? ORDER BY place"


def _catalog(entries: Iterable[CatalogEntry], next_id: object) -> Catalog:
    catalog = Catalog(entries, _number(next_id, 1, _MOST_DWORD + 1))
    if len({entry.info.dwCatalogEntryId for entry in catalog}) != len(catalog):
        raise ValueError("two entries have one id")
    return catalog


def _entry(row: tuple[object, object, object, object, object]) -> CatalogEntry:
    info, path, options, digest, categories = row
    if not isinstance(info, bytes):
        raise TypeError(f"an entry is {type(info).__name__}")
    settings = None if options is None else Settings(_text(options))
    bits = _number(categories, 0, _MOST_DWORD)
    return CatalogEntry(WSAPROTOCOL_INFO.unpack(info), _text(path), settings, _text(digest), bits)


def _application(row: tuple[object, object, object]) -> Application:
    path, extra, categories = row
    return Application(_text(path), None if extra is None else _text(extra), _number(categories, 0, _MOST_DWORD))


# SQLite keeps in any column whatever was put there.


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value


def _number(value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"a number is {value!r}")
    return value


def _put(connection: sqlite3.Connection, contents: Installed, is_new: bool) -> None:
    for statement in _TABLES if is_new else ("DELETE FROM entry", "DELETE FROM application", "DELETE FROM number"):
        connection.execute(statement)
    numbers = {"generation": contents.generation}
    for view, (name, catalog) in enumerate(zip(_VIEWS, contents[:2], strict=True)):
        numbers[name] = catalog.next_id
        rows = ((view, place, *_row(entry)) for place, entry in enumerate(catalog))
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT INTO application VALUES (?, ?, ?)", contents.applications)
    connection.executemany("INSERT INTO number VALUES (?, ?)", numbers.items())


def _row(entry: CatalogEntry) -> tuple[bytes, str, str | None, str, int]:
    options = entry.options.text if isinstance(entry.options, Settings) else None
    return entry.info.pack(), entry.path, options, entry.digest, entry.categories


# Connections.


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    """A connection for one task; never one that creates the file."""
    quoted = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in os.fsencode(path))
    address = f"file:{quoted}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise _refusal(path, error) from error


_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _refusal(path: str, error: sqlite3.Error) -> WinsockError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return WinsockError(WSAEINPROGRESS, f"the catalog {path} is being changed by another process; try again")
    if code in _DAMAGED:
        return _damaged(path, str(error))
    return WinsockError(WSANO_RECOVERY, f"the catalog {path} cannot be used: {error}")


def _damaged(path: str, why: str) -> WinsockError:
    hint = "`winsock catalog reset` begins a new one and keeps the old file"
    return WinsockError(WSANO_RECOVERY, f"the catalog {path} is damaged ({why}); {hint}")
