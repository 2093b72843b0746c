"""Two connections driven alike: one through the redirector, one that is just two connected sockets.

After every step both are left to settle: whatever has been sent has arrived when the bytes that wait at each end, and
what poll() says of it, are the same in both. Then every answer must be the same too, bytes and errors alike.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from tests.dispatcher.strangers import SECONDS, World, tcp_pair
from tests.waiting import wait_until
from winsock.abi.errors import WinsockError
from winsock.api import sockets, transfer
from winsock.dispatcher.records import serving
from winsock.host.queues import UNREAD, ask_or_0

MASK = select.POLLIN | select.POLLOUT | select.POLLRDHUP
FAILED = select.POLLERR | select.POLLHUP


class Step(NamedTuple):
    """One thing that one of the two users does."""

    end: int
    """0 is the user of the file, 1 its peer."""
    act: str
    size: int = 0
    way: str = "plain"
    """How the user of the file does it: by the descriptor, or by Winsock."""

    def __repr__(self) -> str:
        return f"{'file' if not self.end else 'peer'}.{self.act}({self.size or ''}) by {self.way}"


def steps(most: int, largest: int) -> st.SearchStrategy[list[Step]]:
    """Sequences of so many steps, with writes and reads of so many bytes."""
    sizes = st.integers(1, largest)
    end, way = st.integers(0, 1), st.sampled_from(["plain", "winsock"])
    transfers = st.builds(Step, end, st.sampled_from(["write", "write", "read", "read", "read"]), sizes, way)
    shutdowns = st.builds(Step, end, st.just("shutdown"), st.just(0), way)
    closes = st.builds(Step, end, st.just("close"), st.just(0), way)
    return st.lists(st.one_of(transfers, transfers, transfers, shutdowns, closes), min_size=1, max_size=most)


class Plain:
    """Two connected sockets: how it should be."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.shut: set[int] = set()
        for sock in tcp_pair():
            sock.setblocking(False)
            self.ends.append(sock.detach())

    def do(self, step: Step, data: bytes) -> object:
        return outcome(lambda: self.act(step, data))

    def act(self, step: Step, data: bytes) -> object:
        descriptor = self.ends[step.end]
        if step.act == "write":
            return os.write(descriptor, data)
        if step.act == "read":
            return os.read(descriptor, step.size)
        if step.act == "close":
            self.ends[step.end] = -1
            os.close(descriptor)
        else:
            shutdown(descriptor)
            self.shut.add(step.end)
        return None

    def state(self, end: int) -> object:
        """What can be seen of an end without changing it."""
        descriptor = self.ends[end]
        if descriptor < 0:
            return None
        poller = select.poll()
        poller.register(descriptor, MASK)
        return ask_or_0(descriptor, UNREAD), dict(poller.poll(0)).get(descriptor, 0)

    def is_sound(self, end: int) -> bool:
        poller = select.poll()
        poller.register(self.ends[end], 0)
        return not poller.poll(0)

    def resets_late(self, step: Step) -> bool:
        """Whether it makes one end reset the connection after it has ended sending: see `test_oracle`."""
        if step.act == "write":
            return step.end == 0 and self.ends[1] < 0
        return step.act == "close" and step.end in self.shut and ask_or_0(self.ends[step.end], UNREAD) > 0

    def close(self) -> None:
        for descriptor in self.ends:
            if descriptor >= 0:
                os.close(descriptor)


class Redirected(Plain):
    """The same through the redirector."""

    def __init__(self, world: World) -> None:
        s, peer = world.file()
        self.context = world.context(s)
        self.shut = set()
        os.set_blocking(s, False)
        peer.setblocking(False)
        self.ends = [s, peer.detach()]

    def act(self, step: Step, data: bytes) -> object:
        if step.end or step.way == "plain":
            return super().act(step, data)
        s = self.ends[0]
        if step.act == "write":
            return transfer.send(s, data)
        if step.act == "read":
            return transfer.recv(s, step.size)
        if step.act == "close":
            self.ends[0] = -1
            sockets.closesocket(s)
        else:
            sockets.shutdown(s, 1)
        return None

    @property
    def has_ended(self) -> bool:
        return self.ends[0] >= 0 or self.context.closed.is_set()


def shutdown(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        sock.shutdown(socket.SHUT_WR)


def outcome(call: Callable[[], object]) -> object:
    """What it answers, or the name of its error."""
    try:
        return call()
    except WinsockError as error:
        return errno.errorcode[error.errno or 0]
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def compare(world: World, sequence: list[Step]) -> None:
    """Take every step in both, and see no difference."""
    plain, redirected = Plain(), Redirected(world)
    done: list[str] = []
    try:
        for number, step in enumerate(sequence):
            if plain.ends[step.end] < 0 or plain.resets_late(step):
                continue
            if not plain.is_sound(step.end):  # Winsock says more of a failed connection than the descriptor
                step = step._replace(way="plain")
            data = bytes([number % 256]) * step.size
            expected = plain.do(step, data)
            found = redirected.do(step, data)
            done.append(f"{step}: {expected!r:.40}")
            assert found == expected, "\n".join(done)
            let_settle(plain, redirected, done)
    finally:
        plain.close()
        redirected.close()
    wait_until(lambda: not serving, "ending")
    assert redirected.context.closings == 1


def let_settle(plain: Plain, redirected: Redirected, done: list[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not (redirected.has_ended and all(redirected.state(end) == plain.state(end) for end in (0, 1))):
        states = [(one.state(0), one.state(1)) for one in (plain, redirected)]
        assert time.monotonic() < deadline, "\n".join([*done, f"plain: {states[0]}", f"redirected: {states[1]}"])
        time.sleep(0)
