"""The table SOCKET -> provider. Only the upcalls and `handles` write to it, by the three functions for it.

A handle is a descriptor, and descriptors are reused: a record keeps the identity of the file that the number stood
for, so that a number which was closed behind our back and given to another file is found out.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from winsock.abi.errors import WSAENOTSOCK, WinsockError, from_errno
from winsock.host import Association, identity

if TYPE_CHECKING:
    from winsock.catalog.entries import CatalogEntry
    from winsock.dispatcher.chains import Chain
    from winsock.dispatcher.made import Made
    from winsock.spi.provider import ProcTable, ReadBuffer

Identity: TypeAlias = bytes

identity_of = identity
"""Which file the number stands for now; raises `OSError` where it stands for none."""


class Record(Association):
    """What is known of one handle: Record(handle, chain, table, identity, context=None, made=False, adopted=False)."""

    __slots__ = ()

    handle: int
    chain: Chain
    table: ProcTable
    """Where calls for this handle enter."""
    identity: Identity
    context: object
    """What its provider gave to WPUCreateSocketHandle."""
    made: bool
    """Whether WPUCreateSocketHandle made it, for a provider that is no IFS provider."""
    adopted: bool
    """Whether the descriptor belongs to somebody else, who only lent it."""
    hidden: bool
    """Whether a layer made another handle over this one, so that it is no application's to close."""
    shared: bool
    """Whether another process may have the socket (WSADuplicateSocket), which it would notice if we reset it."""

    @property
    def entry(self) -> CatalogEntry:
        """The catalog entry that the application opened."""
        return self.chain.entry

    @property
    def base(self) -> object:
        """The provider of its base protocol, for what it may offer beside its table."""
        table = self.chain.tables.get(self.chain.ids[-1], self.table)
        return getattr(table.WSPSelect, "__self__", None)

    def is_current(self) -> bool:
        """Whether the number still stands for the file of the record."""
        try:
            return identity_of(self.handle) == self.identity
        except OSError:
            return False

    def take_over(self, chain: Chain, table: ProcTable) -> None:
        """From now on calls for this handle go there."""
        self.chain, self.table = chain, table

    def note_mode(self, *, blocking: bool) -> None:
        """FIONBIO was set. Where the handle is the kernel's socket, that remembers it."""

    def note_shutdown(self, how: int) -> None:
        """The application shut it down. Where the handle is the kernel's socket, its provider remembers that."""

    def lost(self) -> None:
        """The number was closed behind our back. What a base provider knew of it, it forgets by itself."""


records: dict[int, Record] = {}
"""Every handle of this process, in the order in which they were entered."""

serving: dict[int, Made] = {}
"""By number: made handles that are files, and associations of made handles that go on without their numbers."""

renewing = threading.Lock()
"""Held while a handle gets another file under its number, and the record its identity."""

_taking_out = threading.Lock()
"""Held while a record is looked at and taken out; so that in between the number does not become another's.

Who enters one takes out first what he finds, and so needs it only where he finds something.
"""

senders: dict[int, Callable[[ReadBuffer, int], int] | None] = {}
"""Handle -> the base provider's direct way to send; None where `route.learn_to_send` found that there is none."""


def enter(record: Record) -> Record:
    """Put a record into the table, as its newest, in place of what was known of its number."""
    handle = record.handle
    if handle in records:
        forget_lost(handle)
    records[handle] = record
    return record


def forget_lost(handle: int) -> None:
    """Take a record out of the table whose number is another file's now."""
    with _taking_out:
        record = forget(handle)
    if record is not None:
        record.lost()


def forget_this(record: Record) -> bool:
    """Take a record out of the table, unless its number is another's by now; whether it was there, and no other's."""
    with _taking_out:
        if records.get(record.handle) is not record:
            return False
        forget(record.handle)
        return True


def end_service(record: Record) -> None:
    """An association that might have gone on without its number is over; whose number it is now may have one, too."""
    with _taking_out:
        if serving.get(record.handle) is record:
            del serving[record.handle]


def change(record: Record, chain: Chain, table: ProcTable) -> None:
    """Give a handle another provider."""
    senders.pop(record.handle, None)
    record.take_over(chain, table)


def forget(handle: int) -> Record | None:
    """Take a record out of the table."""
    senders.pop(handle, None)
    return records.pop(handle, None)


def find(handle: int) -> Record:
    """The record of a handle that is still the file it was; raises WSAENOTSOCK, and ends a record gone stale.

    Where the kernel does not tell which file it is, its error is the answer.
    """
    record = records.get(handle)
    if record is None:
        raise not_a_socket(handle)
    try:
        if identity_of(handle) == record.identity and (not record.made or record.is_current()):
            return record
    except OSError as error:
        if error.errno != errno.EBADF:
            raise from_errno(error.errno or errno.EIO, f"{handle}: {error.strerror}") from None
    with renewing:  # by now it may be a file, which we found half made
        if record.is_current():
            return record
    if forget_this(record):
        record.lost()
    raise WinsockError(WSAENOTSOCK, f"the descriptor {handle} was closed and is another file now, no socket of ours")


def closed_since(known: Mapping[int, Record | None]) -> set[int]:
    """The handles that are not what they were known as any more, because another thread has closed them."""
    return {handle for handle, record in known.items() if record is None or records.get(handle) is not record}


def not_a_socket(handle: object) -> WinsockError:
    """The error for what is no handle."""
    return WinsockError(WSAENOTSOCK, f"{handle!r} is no socket of this process")


def after_fork() -> None:
    """In a child a handle that a provider made is a descriptor only: what it stood for is the parent's."""
    global renewing, _taking_out
    renewing, _taking_out = threading.Lock(), threading.Lock()
    serving.clear()
    for record in list(records.values()):
        if record.made:
            forget(record.handle)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
