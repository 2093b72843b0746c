"""WSAStartup and WSACleanup: version negotiation, counting, and what the last cleanup undoes.

Sources: nf-winsock-wsastartup; nf-winsock2-wsacleanup; ns-winsock-wsadata.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import NamedTuple

from winsock.abi.constants import WINSOCK_VERSION
from winsock.abi.errors import WSAEINVAL, WSANOTINITIALISED, WSASYSNOTREADY, WSAVERNOTSUPPORTED, WinsockError
from winsock.catalog import store
from winsock.catalog.entries import Catalog
from winsock.dispatcher import handles, loader, upcalls
from winsock.spi.blocking import HOOKED

_VERSIONS = ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
_LIMITS_OF_1 = (32767, 65467)  # iMaxSockets and iMaxUdpDg, told to programs of version 1 only


class WSADATA(NamedTuple):
    """What WSAStartup answers. Version words have the major number in the low byte, the minor in the high."""

    wVersion: int
    wHighVersion: int
    iMaxSockets: int
    iMaxUdpDg: int
    szDescription: str = "WinSock 2.0"
    szSystemStatus: str = "Running"


_lock = threading.RLock()
_count = 0
_has_blocking_hooks = False
_UNKNOWN = -1
_permitted: int | None = _UNKNOWN
"""The LSP categories that this program permits; None where it has none, and so loads every layer."""


def is_started() -> bool:
    """Whether a WSAStartup is not yet undone."""
    return _count > 0


def has_blocking_hooks() -> bool:
    """Whether a counted WSAStartup asked for version 1, whose programs may install blocking hooks."""
    return _has_blocking_hooks


def startup(version: int = WINSOCK_VERSION, catalog: Catalog | None = None) -> WSADATA:
    """WSAStartup: count a use of Winsock; `version` is the highest that the caller can use, as a word.

    The first call takes the catalog, what is installed at that moment where none is given. Raises WSAVERNOTSUPPORTED
    below 1.0, WSAEINVAL for another catalog while one is in use, WSASYSNOTREADY where the installed one is no good.
    """
    global _count, _has_blocking_hooks
    data = negotiate(version)
    with _lock:
        if _count == 0:
            loader.use(installed() if catalog is None else catalog)
        elif catalog is not None and catalog is not loader.catalog():
            raise WinsockError(WSAEINVAL, "the catalog is taken by the first WSAStartup, and one is in use")
        _count += 1
        _has_blocking_hooks = _has_blocking_hooks or version & 0xFF == 1
    return data


def installed() -> Catalog:
    """What is installed at this moment, as this program sees it. Raises WSASYSNOTREADY where that cannot be read.

    What the program permits is asked at the first start, and stays.
    """
    global _permitted
    try:
        contents = store.read()
    except WinsockError as error:
        raise WinsockError(WSASYSNOTREADY, error.strerror) from error
    if _permitted == _UNKNOWN:
        _permitted = _asked(contents)
    return contents.native if _permitted is None else _permitting(contents.native, _permitted)


def _asked(contents: store.Installed) -> int | None:
    if not contents.applications:
        return None
    from winsock.catalog.categories import of_program

    return of_program(contents.applications, sys.executable, sys.orig_argv[1:])


def _permitting(catalog: Catalog, permitted: int) -> Catalog:
    from winsock.catalog.categories import permitting

    return permitting(catalog, permitted)


def cleanup() -> None:
    """WSACleanup: undo one WSAStartup; the last resets and frees all sockets.

    Raises WSANOTINITIALISED; WSAENETDOWN when all is done, where the kernel said so.
    """
    global _count, _has_blocking_hooks
    with _lock:
        if _count == 0:
            raise WinsockError(WSANOTINITIALISED, "WSACleanup without WSAStartup")
        _count -= 1
        if _count == 0:
            _has_blocking_hooks = False
            HOOKED.clear()
            down = _end_all()
            loader.use(None)
            if down is not None:
                raise down


def _end_all() -> WinsockError | None:
    """Close every socket and every chain; those who wait come back, and nobody is told by an event or a message.

    The answer is that the network is down, where the kernel said so.
    """
    upcalls.silent = True
    try:
        down = handles.close_all()
        loader.close_chains()
        handles.forget_all()
    finally:
        upcalls.silent = False
    return down


def negotiate(version: int) -> WSADATA:
    """The data for a requested version: the highest of ours that is not above it. Raises WSAVERNOTSUPPORTED."""
    requested = version & 0xFF, version >> 8 & 0xFF
    usable = [known for known in _VERSIONS if known <= requested]
    if not usable:
        raise WinsockError(
            WSAVERNOTSUPPORTED, f"version {requested[0]}.{requested[1]} is older than any supported here"
        )
    major, minor = usable[-1]
    limits = _LIMITS_OF_1 if requested[0] == 1 else (0, 0)
    return WSADATA(major | minor << 8, WINSOCK_VERSION, *limits)


class started:  # noqa: N801
    """`with winsock.started():` - WSAStartup before, WSACleanup after."""

    def __init__(self, version: int = WINSOCK_VERSION, catalog: Catalog | None = None) -> None:
        self._version = version
        self._catalog = catalog

    def __enter__(self) -> WSADATA:
        return startup(self._version, self._catalog)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cleanup()
