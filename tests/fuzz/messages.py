"""What other processes and the kernel say: notices of sockets, sockets handed over, the rows of a catalog."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import sqlite3
import struct
from collections.abc import Callable
from typing import Any

from tests.fuzz.parser import Parser, Refused
from tests.supervisor.notices.diag_messages import HERE, attribute, message, socket_id, tcp_info
from winsock.abi.errors import WSAEINVAL, WSANO_RECOVERY
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.base import handover
from winsock.base.inet import own, shared
from winsock.catalog import database
from winsock.catalog.entries import BUILTIN, Catalog
from winsock.catalog.settings import Settings
from winsock.catalog.store import Installed
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.notices.sockdiag import Message

# NETLINK_SOCK_DIAG

_ID4 = socket_id(HERE, 8080, bytes([10, 0, 0, 2]), 443, 0x1122334455667788)
_ID6 = socket_id(bytes.fromhex("fe80" + "00" * 13 + "01"), 1, bytes(15) + b"\1", 2, 3, interface=4)
_INFO = attribute(sockdiag.ATTRIBUTE_INFO, tcp_info(last_ack=9, rtt=50, acked=11, received=12))
_NOTICES = [
    message(socket.AF_INET, _ID4, attribute(10, b"\6"), _INFO, unread=1, unacknowledged=2),
    message(socket.AF_INET6, _ID6, _INFO),
    message(socket.AF_INET, _ID4),
    sockdiag.HEADER.pack(20, sockdiag.NLMSG_DONE, 0, 0, 0) + bytes(4),
    sockdiag.HEADER.pack(36, sockdiag.NLMSG_ERROR, 0, 0, 0) + struct.pack("=i", -2) + bytes(16),
]


def _notices(data: bytes) -> list[tuple[int, int, Message | OSError]]:
    found: list[tuple[int, int, Message | OSError]] = []
    for kind, start, end in sockdiag.split(data, len(data)):
        said: Message | OSError
        if kind in (sockdiag.NLMSG_DONE, sockdiag.NLMSG_ERROR):
            said = sockdiag.error_of(data, start)
        else:
            said = sockdiag.unpack(data, start, end)
        found.append((start, end, said))
    return found


def _hold_notices(data: bytes, found: Any) -> None:
    if isinstance(found, Refused):
        return
    for start, end, said in found:
        assert 16 <= start <= end <= len(data)
        if isinstance(said, Message):
            assert (said.family, said.state, said.id) == (data[start], data[start + 1], data[start + 4 : start + 52])
            counts = struct.unpack_from("=4I", data, start + 56)
            assert (said.unread, said.unacknowledged, said.uid, said.inode) == counts
            assert said.cookie == int.from_bytes(said.id[40:], "little")
            assert (said.local is None) == (said.id[:2] == b"\0\0")
            assert (said.peer is not None) == said.has_peer
            assert said.info is None or end - start >= 72 + 4 + 216


# Sockets that are handed over: a byte that says how many descriptors come along, then what is said.

_FILE = os.open(os.devnull, os.O_RDONLY)
_SAID = handover._HERE_IT_IS


def _handed_over(data: bytes) -> int:
    """How many descriptors came."""
    before = _open()
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here:
        with there:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [_FILE] * (data[0] % 4)))]
            there.sendmsg([data[1:] or b"\0"], rights if data[0] % 4 else [])
        try:
            descriptors = handover._received(here, 2)
            for descriptor in descriptors:
                os.close(descriptor)
        finally:
            here.close()
            assert _open() == before, "a descriptor was left open"
    return len(descriptors)


def _open() -> int:
    return len(os.listdir("/proc/self/fd"))


def _hold_handed_over(data: bytes, found: Any) -> None:
    complete = bool(data) and data[0] % 4 == 2 and data[1:].startswith(_SAID)
    assert isinstance(found, Refused) != complete
    if complete:
        assert found == 2


def _handed(data: bytes) -> int:
    return _handed_over(data or b"\0")


# The page that comes along with a socket.


def _page() -> bytes:
    made = shared.Shared.new()
    made.page.layout = shared._LAYOUT
    try:
        return bytes(made.page)
    finally:
        made.end()


_STATE = _page()


def _state(data: bytes) -> bytes:
    """What is read where this is the page."""
    descriptor = os.memfd_create("page", os.MFD_ALLOW_SEALING)
    try:
        os.write(descriptor, data)
        fcntl.fcntl(descriptor, *shared._SEALS)
        return bytes(shared.checked(descriptor).page)
    finally:
        os.close(descriptor)


def _hold_state(data: bytes, found: Any) -> None:
    sound = len(data) == len(_STATE) and data[:8] == _STATE[:8]
    if sound:
        sound = shared._Page.from_buffer_copy(data).phase <= own.LISTENING
    assert isinstance(found, Refused) != sound
    if sound:
        assert found == data


# The catalog: a byte that says which cell, one that says of what type it becomes, then what it becomes.

_CELLS = (
    ("entry", "info"),
    ("entry", "info"),
    ("entry", "path"),
    ("entry", "options"),
    ("entry", "digest"),
    ("entry", "categories"),
    ("application", "path"),
    ("application", "extra"),
    ("application", "categories"),
    ("number", "name"),
    ("number", "value"),
)
_TYPES: tuple[Callable[[bytes], object], ...] = (
    bytes,
    lambda data: int.from_bytes(data[:8], "little", signed=True),
    lambda data: None,
    lambda data: data.decode("latin-1"),
    lambda data: float(len(data)),
)
_PROGRAMS = [
    bytes([0, 0]) + BUILTIN[0].info.pack(),
    bytes([0, 0]) + BUILTIN[3].info._replace(dwCatalogEntryId=5000).pack(),
    *(bytes([cell, kind]) + b"\5\0\0\0\0\0\0\0" for cell in range(len(_CELLS)) for kind in range(len(_TYPES))),
]


def _catalog() -> sqlite3.Connection:
    """A catalog without the constraints that another program's would not have either."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in database._TABLES:
        connection.execute(table.replace(" NOT NULL", ""))
    rows = [(view, place, *database._row(entry)) for view in (0, 1) for place, entry in enumerate(BUILTIN)]
    connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("INSERT INTO application VALUES ('/bin/sh', NULL, 1)")
    connection.executemany("INSERT INTO number VALUES (?, ?)", [("native", 2000), ("twin", 2000), ("generation", 7)])
    return connection


_catalogs: list[sqlite3.Connection] = []


def _changed(data: bytes) -> Installed:
    if not _catalogs:
        _catalogs.append(_catalog())
    [connection] = _catalogs
    table, column = _CELLS[(data[0] if data else 0) % len(_CELLS)]
    value = _TYPES[(data[1] if len(data) > 1 else 0) % len(_TYPES)](data[2:])
    connection.execute("BEGIN")
    try:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))
        return database._contents(connection, "the catalog")
    finally:
        connection.execute("ROLLBACK")


def _hold_catalog(data: bytes, found: Any) -> None:
    if isinstance(found, Refused):
        return
    assert isinstance(found, Installed)
    for catalog in (found.native, found.twin):
        assert isinstance(catalog, Catalog)
        assert isinstance(catalog.next_id, int)
        assert len({entry.info.dwCatalogEntryId for entry in catalog}) == len(catalog) == len(BUILTIN)
        for entry in catalog:
            assert isinstance(entry.info, WSAPROTOCOL_INFO)
            assert 0 <= entry.info.chain_length <= 7
            assert {type(entry.path), type(entry.digest)} == {str}
            assert isinstance(entry.options, Settings | None)
            assert entry.options is None or type(entry.options.text) is str
            assert type(entry.categories) is int
    assert found.generation > 0
    for path, extra, categories in found.applications:
        assert (type(path), type(categories)) == (str, int)
        assert extra is None or type(extra) is str


PARSERS = [
    Parser("notices", [*_NOTICES, b"".join(_NOTICES)], _notices, OSError, _hold_notices),
    Parser(
        "a socket handed over",
        [b"\2" + _SAID, b"\6" + _SAID + b"more"],
        _handed,
        OSError,
        _hold_handed_over,
    ),
    Parser(
        "state of a socket", [_STATE, _STATE[:8] + bytes(len(_STATE) - 8)], _state, frozenset({WSAEINVAL}), _hold_state
    ),
    Parser("catalog", _PROGRAMS, _changed, frozenset({WSANO_RECOVERY}), _hold_catalog),
]
