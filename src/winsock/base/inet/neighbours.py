"""Sockets of this process that Windows lets live beside each other, where the kernel wants all of them to have agreed.

A wildcard and a specific address of one port are two addresses to Windows, and one to Linux. So where the table
(`sharing`) allows what the kernel refused, all whom it concerns agree for the moment of that call, by the host's
SO_REUSEADDR, and where a neighbour listens by SO_REUSEPORT too. Afterwards each is as it was, and refuses strangers.
Sockets of other processes agree to nothing; there the kernel's answer stands.
"""

from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.sharing import Claim

_REUSE = (socket.SO_REUSEADDR,)
_SHARE = (socket.SO_REUSEADDR, getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR))
_lock = threading.Lock()


def beside(record: OwnSocket, claim: Claim, call: Callable[[], int]) -> int:
    """Make a call that takes an address once more, after EADDRINUSE; 0 or an errno."""
    error = errno.EADDRINUSE
    others = [other for other in list(SOCKETS.values()) if other is not record and _is_at(other, claim)]
    if not others or sys.platform != "linux":
        return error
    for options in (_REUSE, _SHARE) if record.stream else (_REUSE,):  # to share is more than to use again
        with _lock, _agreed((record, *others), options):
            error = call()
        if error != errno.EADDRINUSE:
            break
    return error


def _is_at(other: OwnSocket, claim: Claim) -> bool:
    return other.claim is not None and other.claim.overlaps(claim)


@contextmanager
def _agreed(sockets: Sequence[OwnSocket], options: tuple[int, ...]) -> Iterator[None]:
    changed = []
    try:
        for record in sockets:
            for option in options:
                with suppress(OSError):  # closed meanwhile
                    if not record.getsockopt(socket.SOL_SOCKET, option):
                        record.setsockopt(socket.SOL_SOCKET, option, 1)
                        changed.append((record, option))
        yield
    finally:
        for record, option in changed:
            with suppress(OSError):
                record.setsockopt(socket.SOL_SOCKET, option, 0)
