"""Readiness, pending connects, and what does not wait."""

from __future__ import annotations

import errno
import hashlib
import select
import socket
import struct

from tests.programs.edges.words import BULK, LOCAL, WAIT_MS, case, events_of, events_until, listener, pair, say, told


@case
def an_edge_for_each_thing_that_happens() -> None:
    with listener() as waiting:
        client = socket.socket()
        client.setblocking(False)
        epoll = select.epoll()
        say(told(client.connect, waiting.getsockname()))
        epoll.register(client, select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET)
        say(edge(epoll))
        say(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), told(client.connect, waiting.getsockname()))
        say(epoll.poll(0.05))
        accepted = waiting.accept()[0]
        accepted.sendall(b"first")
        say(edge(epoll), client.recv(100), told(client.recv, 100))
        accepted.sendall(b"second")
        say(edge(epoll), client.recv(3), client.recv(100), told(client.recv, 100))
        say(epoll.poll(0.05))
        accepted.shutdown(socket.SHUT_WR)
        say(edge(epoll), client.recv(100))


def edge(epoll: select.epoll) -> list[str]:
    ((_, events),) = epoll.poll(WAIT_MS / 1000)
    return [
        name for name in ("EPOLLIN", "EPOLLOUT", "EPOLLERR", "EPOLLHUP", "EPOLLRDHUP") if events & getattr(select, name)
    ]


@case
def a_pending_connect_by_select() -> None:
    with listener() as waiting:
        client = socket.socket()
        client.setblocking(False)
        say(client.connect_ex(waiting.getsockname()) == errno.EINPROGRESS)
        say([len(ready) for ready in select.select([client], [client], [client], 10)])
        say(told(client.recv, 1), client.connect_ex(waiting.getsockname()), client.connect_ex(waiting.getsockname()))


@case
def refused_connects() -> None:
    with socket.socket() as nobody:
        nobody.bind((LOCAL, 0))
        address = nobody.getsockname()
        client = socket.socket()
        say(told(client.connect, address), events_of(client, select.POLLIN | select.POLLOUT))
        say(told(client.connect, address), told(client.getpeername), told(client.recv, 1))
        waiting = socket.socket()
        waiting.setblocking(False)
        say(told(waiting.connect, address), events_until(waiting, select.POLLIN | select.POLLOUT, select.POLLIN))
        say([errno.errorcode.get(waiting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0) for _ in range(2)])
        asking = socket.socket()
        asking.setblocking(False)
        say(told(asking.connect, address), events_until(asking, select.POLLOUT, select.POLLERR))
        say(told(asking.connect, address), told(asking.send, b"x"))


@case
def a_refused_socket_connects_again() -> None:
    with socket.socket() as nobody, listener() as waiting:
        nobody.bind((LOCAL, 0))
        client = socket.socket()
        say(told(client.connect, nobody.getsockname()), told(client.connect, waiting.getsockname()))
        accepted = waiting.accept()[0]
        client.sendall(b"after all")
        say(accepted.recv(100), told(client.connect, waiting.getsockname()))


@case
def a_connection_that_is_dissolved_connects_again() -> None:
    with listener() as waiting:
        client = socket.socket()
        client.connect(waiting.getsockname())
        accepted = waiting.accept()[0]
        client.sendall(b"once")
        say(accepted.recv(100))
        say(dissolve(client), told(client.getpeername), events_until(accepted, 0, select.POLLERR))
        say(told(client.connect, waiting.getsockname()))
        again = waiting.accept()[0]
        client.sendall(b"twice")
        say(again.recv(100), again.getpeername() == client.getsockname())


def dissolve(client: socket.socket) -> int:
    """A connect to AF_UNSPEC, which the socket module cannot name."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return libc.connect(client.fileno(), struct.pack("H14x", 0), 16) and ctypes.get_errno()


@case
def readers_that_do_not_wait() -> None:
    client, accepted = pair()
    say(told(client.recv, 1, socket.MSG_DONTWAIT))
    client.settimeout(0.05)
    try:
        client.recv(1)
    except TimeoutError as error:
        say("timeout", error.errno)
    client.setblocking(False)
    say(told(client.recv, 1))
    accepted.sendall(b"now")
    say(events_of(client, select.POLLIN), client.recv(10, socket.MSG_PEEK), client.recv(10), told(client.recv, 1))


@case
def a_writer_that_is_not_read() -> None:
    """It is stopped at some time, and everything comes when it is read."""
    client, accepted = pair()
    client.setblocking(False)
    sent, piece = hashlib.sha256(), BULK[:65536]
    count = 0
    while events_of_now(client, select.POLLOUT) and count < 1 << 28:
        done = client.send(piece)
        sent.update(piece[:done])
        count += done
    say(count < 1 << 28, told(client.send, b"x"))
    accepted.settimeout(10)
    got = hashlib.sha256()
    while count > 0:
        piece = accepted.recv(min(count, 65536))
        got.update(piece)
        count -= len(piece)
    say(got.digest() == sent.digest())
    say(events_of(client, select.POLLOUT))


def events_of_now(end: socket.socket, wanted: int) -> bool:
    """Whether it comes true within a moment."""
    poll = select.poll()
    poll.register(end, wanted)
    return bool(poll.poll(300))
