"""What a send costs in one process: 64 bytes through the API, against the `socket` module's own send.

Every sender has a connected loopback TCP socket of its own, which another process reads as fast as it can. The senders
take turns, so that what disturbs one disturbs the other: a ratio compares neighbours in time. The bare send stands
beside itself in the table, to show how far such a ratio strays with nothing behind it.

Run it as `python benchmarks/in_process.py`.
"""

from __future__ import annotations

import os
import select
import socket as host
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from winsock.abi.constants import AF_INET, SOCK_STREAM
from winsock.api import sockets, transfer
from winsock.catalog.entries import Catalog
from winsock.dispatcher import loader, process
from winsock.dispatcher.records import records
from winsock.spi.provider import FUNCTIONS, ProcTable
from winsock.testing import through

PAIRS = 9
SENDS = 20_000
DATA = b"x" * 64
LIMIT = 1.5
PASS_THROUGH = "winsock.spi.layer:Layer"


def main() -> None:
    """Measure and print the table."""
    print(f"{'send of 64 bytes':36}{'us':>7}{'ratio':>8}{'spread':>14}")
    with host.create_server(("127.0.0.1", 0)) as listener:
        show("socket.send beside itself", listener, None)
        show("winsock.send, base provider", listener, Catalog())
        show("winsock.send, pass-through layer", listener, through(PASS_THROUGH))
    print(f"The limit is {LIMIT}: the median of {PAIRS} alternating pairs of {SENDS} sends.")
    print(f"A pass-through layer shares {shared_slots()} of {len(FUNCTIONS)} slots with the base, WSPSend among them;")
    print("the others are those that keep a chain a chain, and no transfer passes through them.")


def show(name: str, listener: host.socket, catalog: Catalog | None) -> None:
    """One line: a chain's send, or the bare one again, against the bare one."""
    with ExitStack() as opened:
        bare = opened.enter_context(host.create_connection(listener.getsockname()))
        far = [listener.accept()[0]]
        if catalog is None:
            other = opened.enter_context(host.create_connection(listener.getsockname()))
            rounds = rounds_of(other.send, bare.send)
        else:
            opened.enter_context(process.started(catalog=catalog))
            s = sockets.socket(AF_INET, SOCK_STREAM, 0)
            sockets.connect(s, listener.getsockname())
            rounds = rounds_of_api(s, bare.send)
        far.append(listener.accept()[0])
        with read_elsewhere(far):
            pairs = list(rounds)
    ratios = [ours / theirs for ours, theirs in pairs]
    microseconds = statistics.median(ours for ours, _ in pairs) * 1e6
    spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
    print(f"{name:36}{microseconds:7.2f}{statistics.median(ratios):8.2f}{spread:>14}")


def rounds_of(one: Callable[[bytes], int], other: Callable[[bytes], int]) -> Iterator[tuple[float, float]]:
    """Seconds per send of each, in turns; the first turn warms up."""
    for turn in range(PAIRS + 1):
        pair = time_of(one), time_of(other)
        if turn:
            yield pair


def rounds_of_api(s: int, bare: Callable[[bytes], int]) -> Iterator[tuple[float, float]]:
    """The same for the API, whose send takes the handle too."""
    for turn in range(PAIRS + 1):
        pair = time_of_api(s), time_of(bare)
        if turn:
            yield pair


def time_of(send: Callable[[bytes], int]) -> float:
    """Seconds per call."""
    started = time.perf_counter()
    for _ in range(SENDS):
        send(DATA)
    return (time.perf_counter() - started) / SENDS


def time_of_api(s: int) -> float:
    """Seconds per call of `winsock.send`."""
    send = transfer.send
    started = time.perf_counter()
    for _ in range(SENDS):
        send(s, DATA)
    return (time.perf_counter() - started) / SENDS


@contextmanager
def read_elsewhere(far: list[host.socket]) -> Iterator[None]:
    """Another process, on another core where there is one, reads the far ends until they end."""
    cores = sorted(os.sched_getaffinity(0))
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, cores[-1:])
        read_until_told(far)
    os.sched_setaffinity(0, cores[:1])
    for end in far:
        end.close()
    try:
        yield
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.sched_setaffinity(0, cores)


def read_until_told(far: list[host.socket]) -> None:
    """Read everything; whoever forked us ends us."""
    buffer = bytearray(1 << 20)
    while True:
        for end in select.select(far, [], [])[0]:
            end.recv_into(buffer)


def shared_slots() -> int:
    """How many slots of a pass-through layer hold the very function objects of the provider below."""

    def table(catalog: Catalog) -> tuple[ProcTable, ProcTable]:
        entry = catalog.match(AF_INET, SOCK_STREAM, 0)
        base = catalog.find(entry.info.ProtocolChain.ChainEntries[-1])
        return loader.open_chain(entry).table, loader.open_chain(base).table

    with process.started(catalog=through(PASS_THROUGH)):
        top, base = table(loader.catalog())
        assert top.WSPSend is base.WSPSend
        assert not records
        return sum(getattr(top, name) is getattr(base, name) for name in FUNCTIONS)


if __name__ == "__main__":
    main()
