"""What of a connection's data has not reached its other end yet, as the kernel tells."""

from __future__ import annotations

import socket
import time

from winsock.host.queues import UNDELIVERED, ask_or_0

FIN_WAIT2, TIME_WAIT, CLOSE = 5, 6, 7  # tcp_info.tcpi_state

_FIRST_PAUSE_S = 0.001


def state(sock: socket.socket) -> int:
    """The state of a TCP connection; CLOSE where there is none to ask for."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return CLOSE


def undelivered(sock: socket.socket) -> int:
    """How many bytes were sent and are not acknowledged; 0 where nobody will any more."""
    return 0 if state(sock) == CLOSE else ask_or_0(sock, UNDELIVERED)


def wait_until_delivered(sock: socket.socket, limit_s: float, longest_pause_s: float) -> None:
    """Let what was sent arrive, as the other end makes room for it."""
    deadline = time.monotonic() + limit_s
    pause = _FIRST_PAUSE_S
    while undelivered(sock) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, longest_pause_s)
