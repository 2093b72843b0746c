"""Start-up, clean-up, and the thread's last error."""

from __future__ import annotations

from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.dispatcher import process, threads
from winsock.dispatcher.process import WSADATA, started
from winsock.dispatcher.route import function, refuse_nested, require_started

__all__ = ["WSADATA", "WSACleanup", "WSAGetLastError", "WSASetLastError", "WSAStartup", "started"]


def WSAStartup(version_requested: int) -> WSADATA:
    """Start using Winsock; each call needs one WSACleanup. `with winsock.started():` does both.

    The first one takes what is installed at that moment. `version_requested` is a word, 0x0202 for 2.2: the major
    number in its low byte. Raises WSAVERNOTSUPPORTED, WSASYSNOTREADY where the catalog cannot be read, WSAEINPROGRESS
    inside a blocking hook, WSAEFAULT; none becomes the thread's last error. Source: nf-winsock2-wsastartup.
    """
    refuse_nested()
    if not isinstance(version_requested, int):
        raise WinsockError(WSAEFAULT, f"version_requested: {version_requested!r} is no number")
    return process.startup(version_requested)


@function
def WSACleanup() -> None:
    """Undo one WSAStartup; the last one resets all sockets still open.

    Raises WSANOTINITIALISED, WSAEINPROGRESS inside a blocking hook; and when all is done, what the kernel had to tell.
    Source: nf-winsock2-wsacleanup.
    """
    refuse_nested()
    process.cleanup()
    threads.current().last_error = 0


def WSAGetLastError() -> int:
    """The last error of this thread, a code; it works before WSAStartup too. Source: nf-winsock2-wsagetlasterror."""
    return threads.current().last_error


@function
def WSASetLastError(error: int) -> None:
    """Set the last error of this thread. Raises WSANOTINITIALISED. Source: nf-winsock-wsasetlasterror."""
    require_started()
    threads.current().last_error = error
