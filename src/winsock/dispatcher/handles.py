"""Handles as the rest of the system sees them: take one in, let one go, close one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from winsock.abi.constants import SO_LINGER, SOCK_STREAM, SOL_SOCKET
from winsock.abi.errors import WSAENETDOWN, WSAENOTSOCK, WinsockError
from winsock.core import journal
from winsock.dispatcher import loader
from winsock.dispatcher.records import Identity, Record, enter, find, forget, forget_this, identity_of, records, serving
from winsock.host import same
from winsock.spi.guard import defects, failure
from winsock.spi.layer import ABORTIVE

if TYPE_CHECKING:
    from winsock.catalog.entries import CatalogEntry
    from winsock.dispatcher.chains import Chain


def adopt(descriptor: int, entry: CatalogEntry) -> Record:
    """Serve a descriptor that exists already by the chain of an entry, without creating a socket.

    The descriptor stays its owner's: `release` ends the association and closes nothing. Raises WSAENOTSOCK where it
    is not open, and what `loader.open_chain` raises.
    """
    return adopt_into(loader.open_chain(entry), descriptor)


def adopt_into(chain: Chain, descriptor: int, identity: Identity | None = None) -> Record:
    """The same for a chain that is open already; `identity` for one who knows the file by other means."""
    if identity is None:
        try:
            identity = identity_of(descriptor)
        except OSError:
            raise WinsockError(WSAENOTSOCK, f"{descriptor} is no open descriptor") from None
    record = enter(Record(descriptor, chain, chain.table, identity, adopted=True))
    for layer in chain.adopters:
        try:
            layer.adopted(descriptor)
        except defects() as error:
            forget(descriptor)
            raise error if isinstance(error, WinsockError) else failure(layer, "adopted", error) from error
    return record


def release(handle: int) -> Record | None:
    """End the association of a handle, and leave its descriptor alone."""
    return forget(handle)


def close(handle: int) -> None:
    """Close a socket through its chain. Raises WSAENOTSOCK, and what WSPCloseSocket raises; then it stays open.

    The association ends before the descriptor is closed, because its number may be another socket's at once. Where
    a provider made the handle, its own WPUCloseSocketHandle ends it.
    """
    record = records.get(handle)
    if record is None or record.made or not same(handle, record.identity):
        record = find(handle)
    if not record.made:
        forget(handle)
    try:
        record.table.WSPCloseSocket(handle)
    except WinsockError:
        put_back(record)
        raise
    from winsock.dispatcher.waits import wake  # who only lends descriptors needs none of it

    wake(handle)


def put_back(record: Record) -> None:
    """A close failed: the socket stays as it was, where the number is still its own."""
    if record.handle not in records and record.is_current():
        enter(record)


def close_all() -> WinsockError | None:
    """Reset and free what is still open, as the last WSACleanup does; what was adopted is only let go.

    The answer is that the network is down, where the kernel says so.

    What is below another handle is left to whoever made that: it may have to send what its application left behind.
    """
    down = None
    for record in reversed(list(records.values())):
        if record.hidden:
            continue
        if not record.is_current():
            if forget_this(record):
                record.lost()
            continue
        if not record.adopted:
            down = _reset(record) or down
        if forget_this(record) and record.made and record.is_current():
            os.close(record.handle)
    if serving:
        from winsock.dispatcher.redirecting.files import drain

        drain()
    return down


def forget_all() -> None:
    """Forget what providers left behind when they were cleaned up."""
    for record in list(records.values()):
        if forget_this(record) and record.made and record.is_current():
            os.close(record.handle)


def _reset(record: Record) -> WinsockError | None:
    """Close without a farewell; a provider that fails here is told of, and harms no other socket."""
    try:
        if record.entry.info.iSocketType == SOCK_STREAM and not record.shared:
            _make_abortive(record)
        close(record.handle)
    except Exception as error:
        if isinstance(error, WinsockError) and error.from_kernel and error.winerror == WSAENETDOWN:
            return error
        journal.audit(repr(record.chain), "WSPCloseSocket", error)
    return None


def _make_abortive(record: Record) -> None:
    """Ask for it; a provider that has no such option closes as it can."""
    try:
        record.table.WSPSetSockOpt(record.handle, SOL_SOCKET, SO_LINGER, ABORTIVE)
    except WinsockError:
        pass
