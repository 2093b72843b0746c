"""What `winsock run` costs the program: bulk data, the calls that are trapped, and the start.

    python benchmarks/supervised.py [ROUNDS]        # 9 alternating rounds unless said otherwise

Everything is compared with a peer in the same run. The peer for trapped calls is sandlock (PyPI), a supervisor written
in Rust. Client and supervisor are pinned to one core, the acceptor to another: the wake-up of another, halted core
makes loose figures jump, so they stand beside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pairs import Row, alternate, machine, median, ratio_spread, show

PROGRAMS = Path(__file__).with_name("programs")
WINSOCK = [sys.executable, "-m", "winsock.cli", "run", "--output", os.devnull]
CONNECTIONS = 10_000
IPERF_S = 2

DECIDING = """
from winsock import Layer


class Deciding(Layer):
    def connecting(self, address):
        return None
"""
TOLD = """
from winsock import Layer


class Told(Layer):
    def WSPConnect(self, s, name, *more):
        return self.next.WSPConnect(s, name, *more)

    def closed(self, stats):
        pass
"""
"""Is called and told as trace is, and does nothing: what no layer of that kind can cost less than."""
SANDLOCK = """
import sys
from sandlock import Sandbox

done = Sandbox(fs_readable=["/"], net_allow=["127.0.0.1:" + sys.argv[2]]).run(sys.argv[1:])
sys.stdout.write(done.stdout.decode() if isinstance(done.stdout, bytes) else done.stdout)
"""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "deciding.py").write_text(DECIDING)
        (place / "told.py").write_text(TOLD)
        (place / "sandlocked.py").write_text(SANDLOCK)
        for name in ("acceptor", "connector"):
            subprocess.run(["cc", "-O2", "-o", place / name, PROGRAMS / f"{name}.c"], check=True)
        print(f"machine: {machine()}; median of {rounds} alternating rounds")
        connecting(place, rounds, pinned=True)
        connecting(place, max(3, rounds // 3), pinned=False)
        bulk(rounds)
        starting(rounds)


# --- trapped calls ---------------------------------------------------------------------------------------------------


def connecting(place: Path, rounds: int, pinned: bool) -> None:
    """A connect and close loop; what supervision adds to one connection, against what sandlock adds."""
    acceptor = subprocess.Popen(_on("1", pinned, [str(place / "acceptor")]), stdout=subprocess.PIPE, text=True)
    try:
        assert acceptor.stdout is not None
        program = [str(place / "connector"), acceptor.stdout.readline().strip(), str(CONNECTIONS)]
        commands = {
            "bare": program,
            "sandlock": [sys.executable, str(place / "sandlocked.py"), *program],
            "sandlock again": [sys.executable, str(place / "sandlocked.py"), *program],
            "connecting": [*WINSOCK, "--layer", str(place / "deciding.py"), "--", *program],
            "told": [*WINSOCK, "--layer", str(place / "told.py"), "--", *program],
            "trace": [*WINSOCK, "--", *program],
        }
        runs = {
            name: (lambda command=command: _figure(_on("0", pinned, command))) for name, command in commands.items()
        }
        figures = alternate(runs, rounds)
    finally:
        acceptor.kill()
        acceptor.wait()
    bare = median(figures["bare"])
    added = {name: [figure - bare for figure in row] for name, row in figures.items()}
    rows = [Row("bare, us a connection", f"{bare:.1f}")]
    added_by = ("sandlock", "connecting", "told", "trace")
    rows += [Row(f"{name} adds, us", f"{median(added[name]):.1f}") for name in added_by]
    peers = added["sandlock"]
    rows += [
        Row("sandlock against itself", ratio_spread(added["sandlock again"], peers)),
        Row("a `connecting` hook against sandlock", ratio_spread(added["connecting"], peers), "at most 1.3" * pinned),
        Row("an empty layer that is told as trace is, against sandlock", ratio_spread(added["told"], peers)),
        Row("trace against sandlock", ratio_spread(added["trace"], peers), "at most 2" * pinned),
    ]
    show("Connect and close, " + ("client and supervisor on one core" if pinned else "loose"), rows)


def _on(core: str, pinned: bool, command: list[str]) -> list[str]:
    return ["taskset", "-c", core, *command] if pinned else command


def _figure(command: list[str]) -> float:
    """The number that the program prints last."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


# --- bulk data -------------------------------------------------------------------------------------------------------


def bulk(rounds: int) -> None:
    """iperf3 under trace against bare, both ways."""
    if shutil.which("iperf3") is None:
        print("\n(iperf3 is not installed: no figures for bulk data)")
        return
    port = "15201"
    server = subprocess.Popen(["iperf3", "-s", "-p", port], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        for title, extra in (("sending", []), ("receiving", ["-R"])):
            client = ["iperf3", "-c", "127.0.0.1", "-p", port, "-t", str(IPERF_S), "-J", *extra]
            runs = {
                "bare": lambda client=client: _bits(client),
                "bare again": lambda client=client: _bits(client),
                "trace": lambda client=client: _bits([*WINSOCK, "--", *client]),
            }
            figures = alternate(runs, rounds)
            show(
                f"iperf3, {title}",
                [
                    Row("bare, Gbit/s", f"{median(figures['bare']) / 1e9:.1f}"),
                    Row("bare against bare", ratio_spread(figures["bare again"], figures["bare"])),
                    Row("trace against bare", ratio_spread(figures["trace"], figures["bare"]), "at least 0.97"),
                ],
            )
    finally:
        server.kill()
        server.wait()


def _bits(command: list[str]) -> float:
    import json

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])


# --- the start -------------------------------------------------------------------------------------------------------


def starting(rounds: int) -> None:
    """/bin/true under winsock run against /bin/true."""
    figures = alternate(
        {
            "bare": lambda: _milliseconds(["/bin/true"]),
            "python": lambda: _milliseconds([sys.executable, "-c", "pass"]),
            "run": lambda: _milliseconds([*WINSOCK, "--", "/bin/true"]),
        },
        rounds,
    )
    bare = median(figures["bare"])
    show(
        "Start of /bin/true",
        [
            Row("bare, ms", f"{bare:.1f}"),
            Row("python -c pass, ms", f"{median(figures['python']):.1f}"),
            Row("winsock run adds, ms", f"{median(figures['run']) - bare:.0f}", "at most 150"),
        ],
    )


def _milliseconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
