"""Duplications between processes that are killed at random: who gets what, and what is left.

    python -m tests.sharing.storm TIMES SEED

A judge, which has no part in Winsock, keeps four processes: a giver connects to it and shares the connection with the
taker, which writes to it; two strangers try to get what was never meant for them, all the time, from whatever structure
has come by, as it was or forged. In most rounds the giver, the taker or both are killed at a random moment. The judge
has the other end of every connection: it must get the bytes of those who had the socket, and its end when the last of
them has closed it or is dead, and no sooner.

Prints a line of figures; says what was wrong, and fails, at the first thing that is.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pickle
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from winsock.abi.constants import AF_INET, FROM_PROTOCOL_INFO, LAYERED_PROTOCOL, SOCK_STREAM
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.api import sharing, sockets, transfer
from winsock.dispatcher import process
from winsock.testing import through

LAYERS = ("tests.conformance.layers:PassThrough", "tests.conformance.layers:OwnHandles")
NEEDED = ("winsock.base.inet.provider", "winsock.base.inet.shared", "winsock.base.handover", "tests.conformance.layers")
"""Imported before anybody is born, so that who was killed is soon replaced."""
SECONDS = 30
MOMENT_S = 0.006
"""Within this time of the beginning of a round somebody is killed."""
VICTIMS = ((), ("giver",), ("taker",), ("giver", "taker"))
REMEMBERED = 8
"""How many structures a stranger tries."""


def given(round_number: int) -> bytes:
    return hashlib.sha256(b"giver %d" % round_number).digest()


def taken(round_number: int) -> bytes:
    return hashlib.sha256(b"taker %d" % round_number).digest() * 600


# What the processes do.


def open_duplicate(info: WSAPROTOCOL_INFO) -> int | None:
    try:
        return sockets.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info)
    except WinsockError as error:
        if error.winerror != WSAEINVAL:
            raise
        return None


class Worker:
    """A process of the game: it does what the judge says."""

    def __init__(self, judge: socket.socket) -> None:
        self.judge = judge
        self.held = -1

    def main(self) -> NoReturn:
        process.startup(catalog=through(*LAYERS))
        self.sweep()  # what is made once is made
        before = self.count()
        self.say("ready")
        while True:
            order, *arguments = pickle.loads(self.judge.recv(4096) or os._exit(0))
            self.say(self.count() - before if order == "count" else getattr(self, order)(*arguments))

    def say(self, answer: object) -> None:
        self.judge.send(pickle.dumps(answer))

    def count(self) -> int:
        """How many descriptors are open, when nobody waits for anything any more."""
        for thread in threading.enumerate():
            if thread.name == "winsock-handover":
                thread.join(SECONDS)
        return len(os.listdir("/proc/self/fd"))

    def sweep(self) -> str:
        """Share a socket with oneself, which removes what the dead have left."""
        s = sockets.socket(AF_INET, SOCK_STREAM, 0)
        twin = open_duplicate(sharing.WSADuplicateSocket(s, os.getpid()))
        assert twin is not None
        sockets.closesocket(twin)
        sockets.closesocket(s)
        return "swept"

    def give(self, round_number: int, port: int, entry: int, target: int) -> bytes | None:
        """Connect, say something, and share the connection; None where the target is dead."""
        kinds = [
            info
            for info in sockets.WSAEnumProtocols()
            if (info.iAddressFamily, info.iSocketType) == (AF_INET, SOCK_STREAM)
            and info.chain_length != LAYERED_PROTOCOL
        ]
        info = kinds[entry % len(kinds)]
        self.held = sockets.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info)
        sockets.connect(self.held, ("127.0.0.1", port))
        transfer.send(self.held, given(round_number))
        try:
            return sharing.WSADuplicateSocket(self.held, target).pack()
        except WinsockError as error:
            if error.winerror != WSAEINVAL:
                raise
            return None

    def take(self, packed: bytes) -> str:
        info = WSAPROTOCOL_INFO.unpack(packed)
        handle = open_duplicate(info)
        if handle is None:
            return "refused"
        assert open_duplicate(info) is None, "it was good for two uses"
        self.held = handle
        return "taken"

    def write(self, round_number: int) -> str:
        data = memoryview(taken(round_number))
        while data:
            data = data[transfer.send(self.held, bytes(data)) :]
        return "written"

    def close(self) -> str:
        if self.held >= 0:
            sockets.closesocket(self.held)
        self.held = -1
        return "closed"


class Stranger(Worker):
    """It is told every structure, and tries each, as it is and with something changed."""

    def main(self) -> NoReturn:
        os.nice(10)  # they are two, and the game has other players
        process.startup(catalog=through(*LAYERS))
        before = self.count()
        self.say("ready")
        self.judge.setblocking(False)
        chance = random.Random(os.getpid())
        structures: list[WSAPROTOCOL_INFO] = []
        tries = gains = 0
        while True:
            try:
                order, *arguments = pickle.loads(self.judge.recv(4096) or os._exit(0))
            except BlockingIOError:
                order = "go on"
            if order == "look":
                structures = [*structures, WSAPROTOCOL_INFO.unpack(arguments[0])][-REMEMBERED:]
            elif order == "tell":
                self.say((tries, gains, self.count() - before))
            for info in structures:
                forged = info._replace(dwProviderReserved=info.dwProviderReserved ^ 1 << chance.randrange(32))
                for attempt in (info, forged):
                    gains += open_duplicate(attempt) is not None
                    tries += 1
            if not structures:
                select.select([self.judge], [], [])


class Process:
    """One of them, as the judge has it."""

    def __init__(self, kind: type[Worker]) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.is_dead = False
        self.id = os.fork()
        if self.id == 0:
            descriptor = os.dup2(theirs.detach(), 3)
            os.closerange(4, 1024)
            try:
                kind(socket.socket(fileno=descriptor)).main()
            except (BrokenPipeError, ConnectionResetError):
                os._exit(0)  # the judge has seen enough
            except BaseException as error:
                print(f"{kind.__name__} {os.getpid()}: {error!r}", file=sys.stderr, flush=True)
                os._exit(1)
        theirs.close()
        assert self.answer() == "ready"

    def order(self, *words: object) -> None:
        """Tell it to do something; the dead do not hear."""
        try:
            self.channel.send(pickle.dumps(words))
        except (BrokenPipeError, ConnectionResetError):
            self.is_dead = True

    def answer(self) -> Any:
        """What it says next; None where it is dead."""
        assert select.select([self.channel], [], [], SECONDS)[0], "no answer"
        try:
            said = self.channel.recv(8192)
        except ConnectionResetError:
            said = b""
        self.is_dead = self.is_dead or not said
        return pickle.loads(said) if said else None

    def ask(self, *words: object) -> Any:
        self.order(*words)
        return self.answer()

    def bury(self) -> None:
        self.channel.close()
        status = os.waitpid(self.id, 0)[1]
        assert os.WIFSIGNALED(status) or not os.WEXITSTATUS(status), "a process has failed, see above"


class Judge:
    """Plays the rounds."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.figures: Counter[str] = Counter()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.processes = {"giver": Process(Worker), "taker": Process(Worker)}
        self.strangers = [Process(Stranger), Process(Stranger)]
        self.moments: list[tuple[float, str]] = []
        self.killed: set[str] = set()
        self.peer: socket.socket | None = None
        self.heard = b""
        self.has_ended = False

    def play(self, number: int) -> None:
        """One duplication."""
        victims = self.chance.choice(VICTIMS)
        self.moments = sorted((time.monotonic() + self.chance.uniform(0, MOMENT_S), name) for name in victims)
        self.killed, self.peer, self.heard, self.has_ended = set(), None, b"", False
        outcome = self.duplicate(number)
        while self.moments:  # who was too quick for it dies with the socket open
            self.kill(self.moments.pop(0)[1])
        for name in self.processes:
            if name not in self.killed:
                assert self.ask(name, "close") == "closed"
        self.hear_the_end(number, outcome)
        for name in self.killed:
            self.processes[name].bury()
            self.processes[name] = Process(Worker)
            self.figures[f"{name}s killed"] += 1
        self.figures[outcome] += 1

    def duplicate(self, number: int) -> str:
        """What came of it; "written" where the taker has said that it has sent all."""
        port = self.listener.getsockname()[1]
        packed = self.ask("giver", "give", number, port, self.chance.randrange(8), self.processes["taker"].id)
        if packed is None:
            assert self.killed, "a living process could not be given anything"
            return "not shared"
        for stranger in self.strangers:
            stranger.order("look", packed)
        if self.chance.random() < 0.5:
            self.ask("giver", "close")  # the offer keeps the socket
        answer = self.ask("taker", "take", packed)
        if answer != "taken":
            assert self.killed, "a living process was refused what a living one gave"
            return "not taken"
        self.listen()
        assert not self.has_ended or "taker" in self.killed, "the connection has ended while a process has it"
        if self.chance.random() < 0.5:
            self.ask("giver", "close")
        return "written" if self.ask("taker", "write", number) == "written" else "taken"

    def ask(self, name: str, *words: object) -> Any:
        """What a process answers; None where it is killed before that. Meanwhile time goes on, and the bytes come."""
        asked = self.processes[name]
        asked.order(*words)
        end = time.monotonic() + SECONDS
        while not select.select([asked.channel], [], [], 0)[0]:
            assert time.monotonic() < end, f"no answer to {words[0]}"
            until = self.moments[0][0] if self.moments else end
            watched = [asked.channel, self.listener] if self.peer is None else [asked.channel, self.peer]
            if self.has_ended:
                watched.pop()
            select.select(watched, [], [], max(0, until - time.monotonic()))
            while self.moments and self.moments[0][0] <= time.monotonic():
                self.kill(self.moments.pop(0)[1])
            self.listen()
        answer = asked.answer()
        assert answer is not None or name in self.killed or words[0] == "give", f"the {name} is gone"
        return answer

    def kill(self, name: str) -> None:
        os.kill(self.processes[name].id, signal.SIGKILL)
        self.killed.add(name)

    def listen(self) -> None:
        """Read what has come."""
        if self.peer is None and select.select([self.listener], [], [], 0)[0]:
            self.peer, _ = self.listener.accept()
        while self.peer is not None and not self.has_ended and select.select([self.peer], [], [], 0)[0]:
            piece = self.peer.recv(65536)
            self.heard += piece
            self.has_ended = not piece

    def hear_the_end(self, number: int, outcome: str) -> None:
        """Nobody has the socket any more: its peer must have been told, after all that was sent."""
        self.listen()
        if self.peer is None:
            assert "giver" in self.killed
            return
        end = time.monotonic() + SECONDS
        while not self.has_ended:
            select.select([self.peer], [], [], SECONDS)
            self.listen()
            assert time.monotonic() < end, f"somebody still has the connection ({outcome}, {self.killed})"
        self.peer.close()
        whole = given(number) + taken(number)
        least, most = LENGTHS[outcome]
        assert whole.startswith(self.heard), "what came is not what was sent"
        assert least(number) <= len(self.heard) <= most(number), f"{outcome}: {len(self.heard)} bytes came"

    def look_round(self) -> None:
        """At the end: nothing is left, and nobody has got what was not meant for it."""
        for stranger in self.strangers:
            tries, gains, spare = stranger.ask("tell")
            self.figures["tries of strangers"] += tries
            self.figures["gains of strangers"] += gains
            self.figures["descriptors left"] += spare
        for each in self.processes.values():
            assert each.ask("sweep") == "swept"
            self.figures["descriptors left"] += each.ask("count")
        self.figures["files left"] = len(list(self.folder.iterdir()))
        bound = Path("/proc/net/unix").read_text().count(str(self.folder))
        self.figures["names left"] = bound
        for each in (*self.processes.values(), *self.strangers):
            each.bury()


def nothing(number: int) -> int:
    return 0


def first(number: int) -> int:
    return len(given(number))


def all_of_it(number: int) -> int:
    return len(given(number)) + len(taken(number))


LENGTHS: dict[str, tuple[Callable[[int], int], Callable[[int], int]]] = {
    "not shared": (nothing, first),
    "not taken": (first, first),
    "taken": (first, all_of_it),
    "written": (all_of_it, all_of_it),
}
"""Outcome -> how much came at least and at most. A process that was killed while it took may have had it."""


def main(times: int, seed: int) -> None:
    for name in NEEDED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        before = len(os.listdir("/proc/self/fd"))
        judge = Judge(seed, Path(runtime, "winsock"))
        for number in range(times):
            judge.play(number)
        judge.look_round()
        judge.listener.close()
        judge.figures["descriptors left"] += len(os.listdir("/proc/self/fd")) - before
    print(json.dumps(judge.figures))


def played(times: int, seed: int) -> dict[str, int]:
    """The figures of a game in a process of its own; fails where anything was wrong."""
    command = [sys.executable, "-m", "tests.sharing.storm", str(times), str(seed)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=800)
    assert (done.returncode, done.stderr) == (0, ""), f"seed {seed}: {done.stderr}"
    figures: dict[str, int] = json.loads(done.stdout)
    left = ("gains of strangers", "descriptors left", "files left", "names left")
    assert [figures[name] for name in left] == [0, 0, 0, 0], f"seed {seed}: {figures}"
    return figures


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
