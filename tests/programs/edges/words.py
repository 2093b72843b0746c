"""What the cases are written with."""

from __future__ import annotations

import errno
import hashlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

LOCAL = "127.0.0.1"
WAIT_MS = 8_000
CASE_S = 25
RESET = struct.pack("ii", 1, 0)
BULK = bytes(range(256)) * 8192 + b"the end"

EVENTS = {name: getattr(select, name) for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP", "POLLRDHUP", "POLLPRI")}

CASES: dict[str, Callable[[], None]] = {}


def case(function: Callable[[], None]) -> Callable[[], None]:
    """Make it one of the cases."""
    CASES[function.__name__] = function
    return function


def say(*words: object) -> None:
    print(*words, flush=True)


def told(call: Callable[..., Any], *arguments: Any) -> object:
    """The answer of a call, or the name of its error."""
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def listener(host: str = LOCAL, backlog: int = 64) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.bind((host, 0))
    made.listen(backlog)
    return made


def pair(host: str = LOCAL) -> tuple[socket.socket, socket.socket]:
    """A client and what was accepted of it."""
    with listener(host) as waiting:
        client = socket.socket(waiting.family)
        client.connect(waiting.getsockname()[:2])
        return client, waiting.accept()[0]


def all_of(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(65536), b""))


def short(data: bytes) -> str:
    return f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}"


def events_of(end: socket.socket, wanted: int) -> list[str]:
    """What poll tells as soon as it tells anything."""
    poll = select.poll()
    poll.register(end, wanted)
    return names(dict(poll.poll(WAIT_MS)).get(end.fileno(), 0))


def events_until(end: socket.socket, wanted: int, event: int) -> list[str]:
    """What poll tells once this event is among it: what is on its way may come in two steps."""
    poll = select.poll()
    poll.register(end, wanted)
    for _ in range(WAIT_MS):
        seen = dict(poll.poll(WAIT_MS)).get(end.fileno(), 0)
        if seen & event:
            return names(seen)
        select.select([], [], [], 0.001)
    return ["never"]


def names(events: int) -> list[str]:
    return [name for name, bit in EVENTS.items() if events & bit]


def in_thread(call: Callable[..., Any], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    return thread


def send_all(end: socket.socket, data: bytes = BULK) -> None:
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def send_and_close(end: socket.socket) -> None:
    end.sendall(BULK)
    end.close()


def send_pieces(end: socket.socket, *pieces: bytes) -> None:
    for piece in pieces:
        end.sendall(piece)
