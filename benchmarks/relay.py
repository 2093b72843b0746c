"""What a relay costs: bulk data and ping-pong through one byte layer, against bare loopback and against socat.

    python benchmarks/relay.py [ROUNDS]         # 9 alternating rounds unless said otherwise

`reading` is a layer that sees every byte, `counting` one that is told how many passed: both under `winsock run`, and
with the engine in a process of its own that does as socat does, a listener that carries each connection to the server.
CPU is that of the engine's process, user and system, by its own clock.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from pairs import Row, alternate, machine, median, ratio_spread, show

HERE = Path(__file__).parent
ENGINE = [sys.executable, str(HERE / "engine.py")]
RUN = [sys.executable, "-m", "winsock.cli", "run", "--output", os.devnull, "--layer"]
LAYERS = ("reading", "counting")
IPERF_S = 2
SERVER_PORT = 15211
SOCAT_PORT = 15212
ROUND_TRIPS = 5_000
UPLOAD_MIB = 1024


class Way(NamedTuple):
    """One way to the server."""

    port: int
    relay: int | None = None
    """The process whose CPU time counts."""
    before: tuple[str, ...] = ()
    """What stands before a command that goes that way."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    missing = [name for name in ("iperf3", "socat", "cc") if shutil.which(name) is None]
    if missing:
        print(f"({', '.join(missing)} missing: no figures for relays)")
        return
    print(f"machine: {machine()}; median of {rounds} alternating rounds")
    bulk(rounds, "sending", [])
    bulk(rounds, "receiving", ["-R"])
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "pingpong")
        subprocess.run(["cc", "-O2", "-o", program, HERE / "programs" / "pingpong.c"], check=True)
        pingpong(rounds, program)
        program = str(Path(folder) / "upload")
        subprocess.run(["cc", "-O2", "-o", program, HERE / "programs" / "upload.c"], check=True)
        upload(rounds, program)


# --- the ways --------------------------------------------------------------------------------------------------------


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process for a while."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def ways(server_port: int) -> Iterator[dict[str, Way]]:
    """Bare, socat, and each layer."""
    with ExitStack() as stack:
        here = f"TCP-LISTEN:{SOCAT_PORT},fork,reuseaddr,bind=127.0.0.1,nodelay"
        stack.enter_context(running(["socat", "-b", "262144", here, f"TCP:127.0.0.1:{server_port},nodelay"]))
        found = {"bare": Way(server_port), "bare again": Way(server_port), "socat": Way(SOCAT_PORT)}
        for layer in LAYERS:
            engine = stack.enter_context(running([*ENGINE, layer, str(server_port)]))
            assert engine.stdout is not None
            found[f"{layer} engine"] = Way(int(engine.stdout.readline()), engine.pid)
            chosen = f"{HERE / 'passing.py'}:{layer.title()}"
            found[layer] = Way(server_port, before=(*RUN, chosen, "--"))
        time.sleep(0.5)
        yield found


def cpu_s(process: int) -> float:
    """What a process has used up to now, by the clock that the kernel keeps of it."""
    return time.clock_gettime((~process << 3) | 2)


# --- bulk data -------------------------------------------------------------------------------------------------------


def bulk(rounds: int, title: str, extra: Sequence[str]) -> None:
    """iperf3 over each way."""
    used: dict[str, list[float]] = {f"{layer} engine": [] for layer in LAYERS}
    with running(["iperf3", "-s", "-p", str(SERVER_PORT)]), ways(SERVER_PORT) as found:
        figures = alternate({name: _run(name, way, extra, used) for name, way in found.items()}, rounds)
    bare, socat = figures["bare"], figures["socat"]
    rows = [
        Row("bare, GB/s", f"{median(bare):.2f}"),
        Row("bare against bare", ratio_spread(figures["bare again"], bare)),
        Row("socat against bare", ratio_spread(socat, bare)),
    ]
    for layer in LAYERS:
        for name in (layer, f"{layer} engine"):
            rows += [
                Row(f"{name} against bare", ratio_spread(figures[name], bare), "at least 0.4"),
                Row(f"{name} against socat", ratio_spread(figures[name], socat), "at least 0.85"),
            ]
    rows += [Row(f"{name}, CPU, s/GB", f"{median(row):.3f}") for name, row in used.items()]
    counting, reading = used["counting engine"], used["reading engine"]
    rows.append(Row("counting engine's CPU against reading engine's", ratio_spread(counting, reading), "at most 0.8"))
    show(f"iperf3 through one byte layer, {title}", rows)


def _run(name: str, way: Way, extra: Sequence[str], used: dict[str, list[float]]) -> Callable[[], float]:
    """GB/s; notes the CPU time of a gigabyte."""
    command = [*way.before, "iperf3", "-c", "127.0.0.1", "-p", str(way.port), "-t", str(IPERF_S), "-J", *extra]

    def run() -> float:
        before = cpu_s(way.relay) if way.relay else 0.0
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        received = json.loads(done.stdout)["end"]["sum_received"]
        if way.relay:
            used[name].append((cpu_s(way.relay) - before) / (received["bytes"] / 1e9))
        return float(received["bits_per_second"]) / 8e9

    return run


# --- ping-pong -------------------------------------------------------------------------------------------------------

_WANTED = {
    "bare again": "",
    "socat": "",
    "reading": "at most 60",
    "counting": "at most 60",
    "reading engine": "",
    "counting engine": "",
}


def pingpong(rounds: int, program: str) -> None:
    """One byte there and back, in C at both ends; what a relay adds to a round trip."""
    with running([program]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with ways(port) as found:
            runs = {
                name: (lambda way=way: _microseconds([*way.before, program, str(way.port)]))
                for name, way in found.items()
            }
            figures = alternate(runs, rounds)
    bare = figures["bare"]
    rows = [Row("bare, us", f"{median(bare):.1f}")]
    for name, wanted in _WANTED.items():
        added = sorted(figure - base for figure, base in zip(figures[name], bare, strict=True))
        rows.append(Row(f"{name} adds, us", f"{median(added):.1f} ({added[0]:.1f} to {added[-1]:.1f})", wanted))
    show("A round trip of one byte through one byte layer", rows)


def upload(rounds: int, program: str) -> None:
    """What a program sends after a connect that did not block, against one that did, through a reading layer."""
    with running([program]) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        before = [*RUN, f"{HERE / 'passing.py'}:Reading", "--"]

        def run(how: str) -> float:
            command = [*before, program, port, str(UPLOAD_MIB), how]
            return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

        figures = alternate({how: (lambda how=how: run(how)) for how in ("wait", "block")}, rounds)
    rows = [
        Row("after a blocking connect, MB/s", f"{median(figures['block']):.0f}"),
        Row("after one that does not block", ratio_spread(figures["wait"], figures["block"]), "at least 0.9"),
    ]
    show(f"An upload of {UPLOAD_MIB} MiB through a reading layer", rows)


def _microseconds(command: list[str]) -> float:
    done = subprocess.run([*command, str(ROUND_TRIPS)], capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
