"""What waiting costs, and the twin of the socket module, against what the host has: ratios in one run.

Run it as `python benchmarks/waiting.py`.
"""

from __future__ import annotations

import select
import socket as host
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pairs import Row, alternate, machine, median, ratio_spread, show

from winsock.abi.constants import (
    AF_INET,
    FD_READ,
    IPPROTO_TCP,
    IPPROTO_UDP,
    POLLIN,
    SOCK_DGRAM,
    SOCK_STREAM,
)
from winsock.api import events, sockets, transfer, waiting
from winsock.dispatcher import process
from winsock.facade import socket as twin

PAIRS = 9
SOCKETS = 1000
POLLS = 100
WAKE_UPS = 1000
EXCHANGES = 20_000
DATA = b"x" * 64


def main() -> None:
    """Measure and print the table."""
    print(machine())
    with process.started():
        rows = [poll_row(), wake_row(), *twin_rows()]
    show("Waiting, and the twin of the socket module", rows)


def poll_row() -> Row:
    """WSAPoll over many sockets, one of them ready, against a poll object that is filled anew."""
    handles = []
    for _ in range(SOCKETS):
        s = sockets.socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
        sockets.bind(s, ("127.0.0.1", 0))
        handles.append(s)
    transfer.sendto(handles[0], b"x", 0, sockets.getsockname(handles[-1]))
    asked = [(s, POLLIN) for s in handles]

    def ours() -> float:
        started = time.perf_counter()
        for _ in range(POLLS):
            assert len(waiting.WSAPoll(asked, 0)) == 1
        return time.perf_counter() - started

    def theirs() -> float:
        started = time.perf_counter()
        for _ in range(POLLS):
            poller = select.poll()
            for s in handles:
                poller.register(s, select.POLLIN)
            assert len(poller.poll(0)) == 1
        return time.perf_counter() - started

    figures = alternate({"ours": ours, "theirs": theirs}, PAIRS)
    for s in handles:
        sockets.closesocket(s)
    return Row(
        f"WSAPoll over {SOCKETS} sockets, against select.poll registered anew",
        ratio_spread(figures["ours"], figures["theirs"]),
        "at most 2.5",
    )


def wake_row() -> Row:
    """From a byte that another thread sends to the return of the wait: for an event object, and in epoll."""

    def ours() -> float:
        with host.create_server(("127.0.0.1", 0)) as server:
            s = sockets.socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
            sockets.connect(s, server.getsockname())
            far, _ = server.accept()
        with far:
            far.setsockopt(host.IPPROTO_TCP, host.TCP_NODELAY, 1)
            event = events.WSACreateEvent()
            events.WSAEventSelect(s, event, FD_READ)

            def take() -> None:
                events.WSAEnumNetworkEvents(s, event)
                transfer.recv(s, 1)

            spent = wake_ups(lambda: events.WSAWaitForMultipleEvents([event], True, 10_000), take, far)
            sockets.closesocket(s)
            events.WSACloseEvent(event)
            return spent

    def theirs() -> float:
        with pair() as (near, far):
            poller = select.epoll()
            poller.register(near, select.EPOLLIN)
            return wake_ups(lambda: poller.poll(10), lambda: near.recv(1), far)

    figures = alternate({"ours": ours, "theirs": theirs}, PAIRS)
    return Row(
        f"wake-up by WSAEventSelect, against epoll ({median(figures['theirs']):.0f} us)",
        ratio_spread(figures["ours"], figures["theirs"]),
        "at most 2",
    )


@contextmanager
def pair() -> Iterator[tuple[host.socket, host.socket]]:
    """Two ends of one loopback connection."""
    with host.create_server(("127.0.0.1", 0)) as server:
        near = host.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        for end in (near, far):
            end.setsockopt(host.IPPROTO_TCP, host.TCP_NODELAY, 1)
        yield near, far


def wake_ups(wait: Callable[[], object], take: Callable[[], object], far: host.socket) -> float:
    """The median of so many wake-ups, in microseconds; each starts when the waiting thread has had time to wait."""
    sent = [0.0] * WAKE_UPS
    woken = [0.0] * WAKE_UPS
    ready = threading.Semaphore(0)

    def send() -> None:
        for number in range(WAKE_UPS):
            ready.acquire()
            time.sleep(0.0002)
            sent[number] = time.perf_counter()
            far.send(b"x")

    thread = threading.Thread(target=send)
    thread.start()
    for number in range(WAKE_UPS):
        ready.release()
        wait()
        woken[number] = time.perf_counter()
        take()
    thread.join()
    return median([end - start for start, end in zip(sent, woken, strict=True)]) * 1e6


def twin_rows() -> list[Row]:
    """64 bytes sent and received, by the twin and by the host's class."""

    def exchange(module: Any) -> float:
        with module.create_server(("127.0.0.1", 0)) as server:
            client = module.create_connection(server.getsockname())
            taken, _ = server.accept()
        with client, taken:
            started = time.perf_counter()
            for _ in range(EXCHANGES):
                client.send(DATA)
                taken.recv(64)
            return time.perf_counter() - started

    figures = alternate({"twin": lambda: exchange(twin), "host": lambda: exchange(host)}, PAIRS)
    each = median(figures["host"]) / EXCHANGES * 1e6
    return [
        Row("socket.socket, a send and a recv of 64 bytes, us", f"{each:.2f}"),
        Row("the twin, against it", ratio_spread(figures["twin"], figures["host"]), "at most 2"),
    ]


if __name__ == "__main__":
    main()
