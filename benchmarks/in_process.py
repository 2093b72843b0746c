"""What a send costs in one process, a layer in its way, a socket: against the `socket` module's own.

Every sender has a connected loopback TCP socket of its own, which another process reads as fast as it can. The senders
take turns, so that what disturbs one disturbs the other: a ratio compares neighbours in time. The bare call stands
beside itself in the table, to show how far such a ratio strays with nothing behind it.

Run it as `python benchmarks/in_process.py`.
"""

from __future__ import annotations

import os
import select
import socket as host
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pairs import Row, alternate, median, ratio_spread
from pairs import show as show_table

from winsock.abi.constants import AF_INET, IPPROTO_TCP, SOCK_DGRAM, SOCK_STREAM
from winsock.api import sockets, transfer
from winsock.catalog.entries import Catalog
from winsock.dispatcher import loader, process
from winsock.dispatcher.records import records
from winsock.spi.layer import Layer
from winsock.spi.provider import FUNCTIONS, ProcTable, ReadBuffer
from winsock.testing import through

PAIRS = 9
SENDS = 20_000
DATA = b"x" * 64
LIMIT = 1.5
PASS_THROUGH = "winsock.spi.layer:Layer"
FORWARDING = f"{Path(__file__).resolve()}:Forwarding"
MOST_LAYERS = 3


class Forwarding(Layer):
    """Overrides one function, and does nothing in it."""

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        return self.next.WSPSend(s, buffers, flags, overlapped, completion_routine, thread_id)


def main() -> None:
    """Measure and print the tables."""
    show_sends()
    show_table("A socket made and closed", creation_rows())
    show_table("A datagram of 64 bytes through layers that override WSPSend", layer_rows())


def show_sends() -> None:
    """The table of sends."""
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


def creation_rows() -> list[Row]:
    """WSASocket and closesocket on the bare chain."""

    def ours() -> None:
        sockets.closesocket(sockets.WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP))

    def bare() -> None:
        host.socket().close()

    with process.started():
        runs = {
            name: lambda call=call: time_of_call(call)
            for name, call in (("ours", ours), ("bare", bare), ("again", bare))
        }
        figures = {name: found[1:] for name, found in alternate(runs, PAIRS + 1).items()}
    return [
        Row("`socket.socket().close()`, us", f"{median(figures['bare']) * 1e6:.2f}"),
        Row("WSASocket and closesocket, us", f"{median(figures['ours']) * 1e6:.2f}"),
        Row("the first against itself", ratio_spread(figures["again"], figures["bare"])),
        Row("the second against the first", ratio_spread(figures["ours"], figures["bare"]), "at most 1.6"),
    ]


def layer_rows() -> list[Row]:
    """What each layer adds to a send, to a socket that reads nothing: what its buffer does not take is dropped."""
    runs = {str(count): lambda count=count: time_through(count) for count in range(MOST_LAYERS + 1)}
    figures = [found[1:] for found in alternate(runs, PAIRS + 1).values()]
    rows = [Row("no layer, us", f"{median(figures[0]) * 1e6:.2f}")]
    for count in range(1, MOST_LAYERS + 1):
        added = [after - before for before, after in zip(figures[count - 1], figures[count], strict=True)]
        rows.append(Row(f"layer {count} adds, us", f"{median(added) * 1e6:.2f}", "at most 0.5"))
    return rows


def time_through(layers: int) -> float:
    """Seconds per send through that many layers."""
    with host.socket(type=host.SOCK_DGRAM) as far, process.started(catalog=through(*[FORWARDING] * layers)):
        far.bind(("127.0.0.1", 0))
        s = sockets.socket(AF_INET, SOCK_DGRAM, 0)
        sockets.connect(s, far.getsockname())
        return time_of_api(s)


def time_of_call(call: Callable[[], None]) -> float:
    """Seconds per call."""
    started = time.perf_counter()
    for _ in range(SENDS):
        call()
    return (time.perf_counter() - started) / SENDS


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
