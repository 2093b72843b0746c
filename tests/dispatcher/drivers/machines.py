"""Stream layers for tests, and pipelines of them without any I/O."""

from __future__ import annotations

from typing import ClassVar

from winsock.abi.sockaddr import SockaddrIn
from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.stage import Stage
from winsock.spi.stats import Stats
from winsock.spi.stream import Direction, StreamLayer

STATS = Stats(socket=1, process=2, local=None, peer=SockaddrIn("127.0.0.1", 80), protocol="tcp")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Writing(StreamLayer):
    """Writes down how it was entered, in a list that several may share; passes everything."""

    def __init__(self, name: str = "", seen: list[str] | None = None) -> None:
        self.called = name
        self.seen: list[str] = [] if seen is None else seen

    def opened(self) -> None:
        self._note("opened")

    def outgoing(self, data: bytes) -> bytes | None:
        self._note(f"out {data.decode()}")
        return data

    def incoming(self, data: bytes) -> bytes | None:
        self._note(f"in {data.decode()}")
        return data

    def outgoing_ended(self) -> bool | None:
        self._note("out ended")
        return None

    def incoming_ended(self) -> bool | None:
        self._note("in ended")
        return None

    def timer(self, now: float) -> None:
        self._note(f"timer {now:g}")

    def closed(self, stats: Stats) -> None:
        self._note("closed")

    def _note(self, text: str) -> None:
        self.seen.append(f"{self.called} {text}" if self.called else text)


class Counting(StreamLayer):
    """Sees no bytes, only how many."""

    def __init__(self) -> None:
        self.counts: dict[Direction, int] = {"outgoing": 0, "incoming": 0}

    def passed(self, direction: Direction, count: int) -> None:
        self.counts[direction] += count


class Polite(Writing):
    """Says hello, and is ready when it was greeted; what comes with the greeting goes on."""

    opening: ClassVar[bool] = True
    greeted = False

    def opened(self) -> None:
        super().opened()
        self.send_out(b"hello ")

    def incoming(self, data: bytes) -> bytes | None:
        super().incoming(data)
        if self.greeted:
            return data
        greeting, _, rest = data.partition(b" ")
        self.greeted = greeting == b"welcome"
        if self.greeted:
            self.ready()
        return rest


class Holding(StreamLayer):
    """Holds everything back until it is told to let go, the end too."""

    def __init__(self) -> None:
        self.held: dict[Direction, bytes] = {"outgoing": b"", "incoming": b""}

    def outgoing(self, data: bytes) -> None:
        self.held["outgoing"] += data

    def incoming(self, data: bytes) -> None:
        self.held["incoming"] += data

    def outgoing_ended(self) -> bool:
        self.wake_at(self.now())
        return True

    def incoming_ended(self) -> bool:
        self.wake_at(self.now())
        return True

    def timer(self, now: float) -> None:
        self.send_out(self.held["outgoing"])
        self.send_in(self.held["incoming"])
        self.held = {"outgoing": b"", "incoming": b""}
        self.end_out()
        self.end_in()


def machine(*layers: StreamLayer, clock: Clock | None = None, opened: bool = True) -> Pipeline:
    """These layers above each other, the uppermost first."""
    time = clock or Clock()
    pipeline = Pipeline([Stage(layer, time) for layer in layers], time)
    if opened:
        pipeline.open()
    return pipeline


def sent(pipeline: Pipeline) -> bytes:
    """What came out at the bottom since the last time."""
    data = b"".join(pipeline.to_network)
    pipeline.to_network.clear()
    return data


def received(pipeline: Pipeline) -> bytes:
    """What came out at the top."""
    data = b"".join(pipeline.to_application)
    pipeline.to_application.clear()
    return data


def is_ready(pipeline: Pipeline) -> bool:
    """Whether every layer is."""
    return pipeline.ready


def ends(pipeline: Pipeline) -> tuple[bool, bool]:
    """Whether the outgoing and the incoming stream have ended."""
    return pipeline.outgoing_over, pipeline.incoming_over
