"""A `Destroyed` under watch, and traffic on loopback for it to tell of."""

from __future__ import annotations

import select
import socket
import threading

from tests.supervisor.notices.diag_messages import cookie_of
from winsock.supervisor.notices.closing import Closing, Past
from winsock.supervisor.notices.destroyed import Destroyed

PATIENCE = 10.0
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Watch:
    """A `Destroyed` and what it told."""

    def __init__(self, **options: object) -> None:
        self.known: set[int] = set()
        self.told: dict[int, Closing] = {}
        self.errors: list[Exception] = []
        self.pasts: dict[int, Past] = {}
        defaults: dict[str, object] = {"past": self.past, "on_error": self.errors.append}
        self.destroyed = Destroyed(self.closed, self.known, **{**defaults, **options})  # type: ignore[arg-type]

    def past(self, cookie: int) -> Past:
        return self.pasts.get(cookie, Past())

    def closed(self, cookie: int, closing: Closing) -> None:
        self.told[cookie] = closing
        self.known.discard(cookie)

    def know(self, held: socket.socket, past: Past | None = None) -> int:
        cookie = cookie_of(held)
        self.known.add(cookie)
        if past:
            self.pasts[cookie] = past
        return cookie

    def of(self, cookie: int) -> Closing:
        """The closing, as soon as it is told."""
        assert not self.destroyed.flush({cookie}, PATIENCE)
        return self.told[cookie]

    def closing(self, held: socket.socket, past: Past | None = None) -> Closing:
        """Close the socket; what is told of it."""
        cookie = self.know(held, past)
        held.close()
        return self.of(cookie)


def pair(family: socket.AddressFamily = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """A client and the socket that a server accepted for it."""
    with socket.create_server((LOOPBACK[family], 0), family=family) as server:
        client = socket.create_connection(server.getsockname()[:2])
        accepted, _ = server.accept()
    return client, accepted


def carry(source: socket.socket, destination: socket.socket, size: int) -> None:
    """Send so many bytes and receive them all."""
    sender = threading.Thread(target=source.sendall, args=(bytes(size),), daemon=True)
    sender.start()
    left = size
    while left:
        left -= len(destination.recv(min(left, 1 << 16)))
    sender.join()


def wait_fin(held: socket.socket) -> None:
    """Wait until the peer's FIN is there, without reading it."""
    poll = select.poll()
    poll.register(held, select.POLLRDHUP)
    assert poll.poll(PATIENCE * 1000)


def strangers(count: int) -> None:
    for _ in range(count):
        socket.socket().close()
