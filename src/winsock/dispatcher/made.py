"""Handles that WPUCreateSocketHandle made: numbers for what only a provider knows.

Such a handle is *direct*, and its number holds a placeholder, on which `read` and `write` fail at once; or it is a
*file* (`winsock.dispatcher.redirector`).

An association may outlive its number: a file delivers what was written to it after its last descriptor was closed, and
the provider of a direct handle that was closed behind our back has yet to hear of it. Such associations are in
`serving`, and until they end no new handle gets their number, so that a provider never knows two by the same. What a
provider asks on behalf of one of them, on a thread of ours, is answered for that one (`acting`), and not for whoever
has the number now.

Sources: nf-ws2spi-wpucreatesockethandle, nf-ws2spi-wpuclosesockethandle, nf-ws2spi-wpuquerysockethandlecontext.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from winsock.abi.constants import SD_SEND
from winsock.abi.errors import WSAENOBUFS, WinsockError
from winsock.core import journal
from winsock.dispatcher import records
from winsock.dispatcher.records import Record, not_a_socket, serving
from winsock.host import identity

if TYPE_CHECKING:
    from winsock.dispatcher.chains import Chain
    from winsock.dispatcher.redirecting.files import File
    from winsock.spi.provider import ProcTable

_O_PATH = getattr(os, "O_PATH", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Made(Record):
    """What is known of a made handle."""

    __slots__ = ("blocking", "file", "receiving_ended")

    blocking: bool
    """As FIONBIO was last set."""
    file: File | None
    """Where the handle is a file: what serves it."""
    receiving_ended: bool
    """Whether the application shut down receiving."""

    def __init__(self, handle: int, chain: Chain, table: ProcTable, context: object) -> None:
        super().__init__(handle, chain, table, identity(handle), context, made=True)
        self.blocking = True
        self.file = None
        self.receiving_ended = False

    def is_current(self) -> bool:
        return super().is_current() and (self.file is not None or _is_placeholder(self.handle))

    def take_over(self, chain: Chain, table: ProcTable) -> None:
        super().take_over(chain, table if self.file is None else self.file.above(table))

    def note_mode(self, *, blocking: bool) -> None:
        self.blocking = blocking

    def note_shutdown(self, how: int) -> None:
        self.receiving_ended = self.receiving_ended or how != SD_SEND

    def lost(self) -> None:
        if self.file is not None:
            self.file.let_go()
        elif serving.setdefault(self.handle, self) is self:
            _in_background(self)


class _Acting(threading.local):
    record: Record | None = None


_acting = _Acting()


@contextmanager
def acting_for(record: Record | None) -> Iterator[None]:
    """On this thread, what a provider asks about the handle's number is about this record."""
    before, _acting.record = _acting.record, record
    try:
        yield
    finally:
        _acting.record = before


def is_acting_for(record: Made) -> bool:
    """Whether this thread is."""
    return _acting.record is record


def create(chain: Chain, table: ProcTable, context: object) -> Made:
    """A new direct handle; raises WSAENOBUFS."""
    try:
        handle = _free_number()
    except OSError as error:
        raise WinsockError(WSAENOBUFS, f"no handle to be had: {error.strerror}", errno=error.errno) from None
    record = Made(handle, chain, table, context)
    records.enter(record)
    return record


def find(s: int) -> Made:
    """The record of a made handle, by what its provider calls it; raises WSAENOTSOCK for any other."""
    record = _acting.record
    if record is None or record.handle != s:
        record = records.find(s)
    if not isinstance(record, Made):
        raise not_a_socket(s)
    return record


def close(s: int) -> None:
    """The provider ends its handle; raises WSAENOTSOCK for any other."""
    record = find(s)
    records.end_service(record)
    if record.file is not None:
        record.file.provider_ended()
    elif records.forget_this(record):
        os.close(s)


def placeholder() -> int:
    """A descriptor that is good for nothing; raises `OSError`."""
    return os.open(os.devnull, (_O_PATH or os.O_RDONLY) | _CLOEXEC)


def _is_placeholder(descriptor: int) -> bool:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & _O_PATH == _O_PATH


def _free_number() -> int:
    """A placeholder on a number that no association has any more."""
    handle = placeholder()
    if handle not in serving:
        return handle
    try:
        return _free_number()
    finally:
        os.close(handle)


def _in_background(record: Made) -> None:
    """Close on a thread of its own, because whoever found the number gone may hold a lock of the provider's."""
    thread = threading.Thread(target=_close_lost, args=(record,), name=f"winsock-lost-{record.handle}", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter ends
        _close_lost(record)


def _close_lost(record: Made) -> None:
    try:
        with acting_for(record):
            record.table.WSPCloseSocket(record.handle)
    except WinsockError:
        pass  # the provider found out by itself
    except Exception as error:
        journal.audit(repr(record.chain), "WSPCloseSocket", error)
    finally:
        records.end_service(record)
