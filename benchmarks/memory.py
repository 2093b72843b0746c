"""How many simulated datagrams a second go through a memory network, by the API: sendto, the network, recvfrom.

Alice sends in bursts of a thousand, bob receives them, a million in all; on a link that only delays, on one that also
keeps the record of everything, and on one that loses, doubles and reorders. Beside them stands what the kernel takes
for the same over loopback, through the `socket` module, one send and one receive at a time.

Run it as `python benchmarks/memory.py [DATAGRAMS]`.
"""

from __future__ import annotations

import cProfile
import pstats
import socket as host
import sys
import time
from collections.abc import Callable
from functools import partial

from pairs import Row, machine, show

import winsock
from winsock.base.memory import Conditions, Network

MILLION = 1_000_000
BURST = 1000
DATA = b"x" * 64
WANTED = "at least 100,000"

PLAIN = Conditions(latency=0.01)
BAD = Conditions(latency=0.01, jitter=0.005, loss=0.01, duplicate=0.01, reorder=0.01)


def main(datagrams: int) -> None:
    """Measure and print the table."""
    print(machine())
    runs: tuple[tuple[str, Callable[[int], float], str], ...] = (
        ("a link that delays, datagrams/s", partial(simulated, PLAIN, False), WANTED),
        ("the same, with the record of everything", partial(simulated, PLAIN, True), ""),
        ("a link that also loses, doubles and reorders", partial(simulated, BAD, False), WANTED),
        ("the kernel's loopback by the `socket` module", real, ""),
    )
    show("Simulated datagrams", [Row(what, f"{datagrams / run(datagrams):,.0f}", wanted) for what, run, wanted in runs])
    profile(datagrams // 10)


def simulated(conditions: Conditions, trace: bool, datagrams: int) -> float:
    """Seconds for so many datagrams from alice to bob."""
    network = Network(1, conditions, trace=trace)
    alice, bob = network.host("10.0.0.1", name="alice"), network.host("10.0.0.2", name="bob")
    with winsock.started(catalog=network.catalog()):
        with alice:
            sender = winsock.socket(winsock.AF_INET, winsock.SOCK_DGRAM, 0)
        with bob:
            receiver = winsock.socket(winsock.AF_INET, winsock.SOCK_DGRAM, 0)
        winsock.setsockopt(receiver, winsock.SOL_SOCKET, winsock.SO_RCVBUF, 1 << 20)
        winsock.ioctlsocket(receiver, winsock.FIONBIO, 1)
        address = winsock.SockaddrIn("10.0.0.2", 7)
        winsock.bind(receiver, address)
        began = time.perf_counter()
        received = 0
        for _ in range(datagrams // BURST):
            for _ in range(BURST):
                winsock.sendto(sender, DATA, 0, address)
            network.sleep(0.1)
            received += drain(receiver)
        seconds = time.perf_counter() - began
    assert 0.95 * datagrams < received < 1.05 * datagrams
    return seconds


def drain(receiver: int) -> int:
    """Receive what there is; how many that were."""
    received = 0
    try:
        while True:
            winsock.recvfrom(receiver, 64)
            received += 1
    except winsock.WinsockError:
        return received


def real(datagrams: int) -> float:
    """The same over the kernel's loopback."""
    with (
        host.socket(host.AF_INET, host.SOCK_DGRAM) as sender,
        host.socket(host.AF_INET, host.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        address = receiver.getsockname()
        began = time.perf_counter()
        for _ in range(datagrams):
            sender.sendto(DATA, address)
            receiver.recvfrom(64)
        return time.perf_counter() - began


def profile(datagrams: int) -> None:
    """Where the time goes, by the function."""
    profiler = cProfile.Profile()
    profiler.runcall(simulated, PLAIN, False, datagrams)
    rows = sorted(pstats.Stats(profiler).stats.items(), key=lambda item: -item[1][2])  # type: ignore[attr-defined]
    total = sum(stats[2] for _, stats in rows)
    show(
        "Where it goes (profiled)",
        [Row(f"{file.rpartition('/')[2]} {name}", f"{stats[2] / total:.0%}") for (file, _, name), stats in rows[:8]],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MILLION)
