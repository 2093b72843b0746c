"""Small stream layers, each for one thing that a driver must do right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from winsock.abi.errors import WSAECONNREFUSED, WSAENETRESET, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.spi.stats import Stats
from winsock.spi.stream import Direction, StreamLayer

SECRET = b"EHLO\n"
WELCOME = b"WELCOME\n"
REFUSED = b"NO\n"


class Pass(StreamLayer):
    """Overrides nothing."""


class Reading(StreamLayer):
    """Sees every byte and changes none."""

    def outgoing(self, data: bytes) -> bytes:
        return data

    def incoming(self, data: bytes) -> bytes:
        return data


class Shout(StreamLayer):
    def outgoing(self, data: bytes) -> bytes:
        return data.upper()


class Swap(StreamLayer):
    """Swaps upper and lower case, both ways: its own inverse, so that both ends may talk through it."""

    def outgoing(self, data: bytes) -> bytes:
        return data.swapcase()

    def incoming(self, data: bytes) -> bytes:
        return data.swapcase()


@dataclass(frozen=True)
class Mark:
    mark: str = "a"


class Tagged(StreamLayer):
    """Puts a mark behind every line, both ways: what passed first stands first."""

    Options = Mark

    def outgoing(self, data: bytes) -> bytes:
        return data.replace(b"\n", self.options.mark.encode() + b"\n")

    def incoming(self, data: bytes) -> bytes:
        return data.replace(b"\n", self.options.mark.encode() + b"\n")


class Bytewise(StreamLayer):
    """Sends every byte by itself."""

    def outgoing(self, data: bytes) -> None:
        for i in range(len(data)):
            self.send_out(data[i : i + 1])

    def incoming(self, data: bytes) -> None:
        for i in range(len(data)):
            self.send_in(data[i : i + 1])


class Lines(StreamLayer):
    """Lets whole lines pass, and holds a part back until the rest is there."""

    def __init__(self) -> None:
        self.held = {"out": b"", "in": b""}

    def outgoing(self, data: bytes) -> bytes | None:
        return self.whole("out", data)

    def incoming(self, data: bytes) -> bytes | None:
        return self.whole("in", data)

    def whole(self, way: str, data: bytes) -> bytes | None:
        lines, newline, self.held[way] = (self.held[way] + data).rpartition(b"\n")
        return lines + newline or None


class Hoarder(StreamLayer):
    """Holds everything back until the end of its stream."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.into: list[bytes] = []

    def outgoing(self, data: bytes) -> None:
        self.out.append(data)

    def incoming(self, data: bytes) -> None:
        self.into.append(data)

    def outgoing_ended(self) -> None:
        self.send_out(b"".join(self.out))

    def incoming_ended(self) -> None:
        self.send_in(b"".join(self.into))


@dataclass(frozen=True)
class Delay:
    seconds: float = 0.02


class Late(StreamLayer):
    """Delivers everything late, the ends too."""

    Options = Delay

    def __init__(self) -> None:
        self.queue: list[tuple[float, Any, bytes | None]] = []

    def outgoing(self, data: bytes) -> None:
        self.put(self.send_out, data)

    def incoming(self, data: bytes) -> None:
        self.put(self.send_in, data)

    def outgoing_ended(self) -> bool:
        self.put(self.end_out, None)
        return True

    def incoming_ended(self) -> bool:
        self.put(self.end_in, None)
        return True

    def put(self, act: Any, data: bytes | None) -> None:
        self.queue.append((self.now() + self.options.seconds, act, data))
        self.wake_at(self.queue[0][0])

    def timer(self, now: float) -> None:
        while self.queue and self.queue[0][0] <= now:
            _, act, data = self.queue.pop(0)
            act() if data is None else act(data)
        self.wake_at(self.queue[0][0] if self.queue else None)


class Ticking(StreamLayer):
    """Speaks to the program by itself three times, then ends what it hears."""

    def opened(self) -> None:
        self.ticks = 0
        self.wake_at(self.now() + 0.01)

    def timer(self, now: float) -> None:
        self.ticks += 1
        self.send_in(b"tick %d\n" % self.ticks)
        if self.ticks < 3:
            self.wake_at(now + 0.01)
        else:
            self.end_in()


class Sobered(StreamLayer):
    """Takes back what it wanted to be woken for."""

    def opened(self) -> None:
        self.wake_at(self.now() + 0.01)
        self.wake_at(None)

    def timer(self, now: float) -> None:
        self.log("woken in vain")


class Counting(StreamLayer):
    """Counts what passes, and tells at the end."""

    def __init__(self) -> None:
        self.count = {"outgoing": 0, "incoming": 0}

    def passed(self, direction: Direction, count: int) -> None:
        self.count[direction] += count

    def closed(self, stats: Stats) -> None:
        self.log(f"counted {self.count['outgoing']} {self.count['incoming']}")


class Telling(StreamLayer):
    """Tells who is connected with whom, and that it is over."""

    def opened(self) -> None:
        self.log(f"opened {self.role} {_port(self.local)} {_port(self.peer)} {self.caller.function}")

    def closed(self, stats: Stats) -> None:
        self.log(f"closed {_port(stats.local)} {_port(stats.peer)} {stats.sent} {stats.received}")


def _port(address: Sockaddr | None) -> int:
    return getattr(address, "port", 0)


class Handshake(StreamLayer):
    """Says a word first, and goes on when it is welcomed."""

    opening = True

    def __init__(self) -> None:
        self.answer: bytes | None = b""

    def opened(self) -> None:
        self.send_out(SECRET)

    def incoming(self, data: bytes) -> bytes | None:
        if self.answer is None:
            return data
        self.answer += data
        word, newline, rest = self.answer.partition(b"\n")
        if not newline:
            return None
        self.answer = None
        if word + newline != WELCOME:
            self.fail(WinsockError(WSAECONNREFUSED, "not welcome"))
            return None
        self.ready()
        return rest


class Patient(StreamLayer):
    """Is ready after a while, without a word."""

    opening = True

    def opened(self) -> None:
        self.wake_at(self.now() + 0.02)

    def timer(self, now: float) -> None:
        self.ready()


@dataclass(frozen=True)
class Limit:
    limit: int = 10


class Failing(StreamLayer):
    """Fails after so many bytes, whichever way they go."""

    Options = Limit

    def __init__(self) -> None:
        self.left: int | None = None

    def outgoing(self, data: bytes) -> bytes:
        return self.counted(data)

    def incoming(self, data: bytes) -> bytes:
        return self.counted(data)

    def counted(self, data: bytes) -> bytes:
        if self.left is None:
            self.left = self.options.limit
        self.left -= len(data)
        if self.left < 0:
            self.fail(WinsockError(WSAENETRESET, "enough"))
        return data


@dataclass(frozen=True)
class Where:
    hook: str = "outgoing"


class Raising(StreamLayer):
    """Has a defect in one hook."""

    Options = Where

    def opened(self) -> None:
        self.wake_at(self.now() + 0.01 if self.options.hook == "timer" else None)
        self.trip("opened")

    def outgoing(self, data: bytes) -> bytes:
        self.trip("outgoing")
        return data

    def incoming(self, data: bytes) -> bytes:
        self.trip("incoming")
        return data

    def outgoing_ended(self) -> None:
        self.trip("outgoing_ended")

    def incoming_ended(self) -> None:
        self.trip("incoming_ended")

    def timer(self, now: float) -> None:
        self.trip("timer")

    def closed(self, stats: Stats) -> None:
        self.trip("closed")

    def connecting(self, address: Sockaddr) -> None:
        self.trip("connecting")

    def trip(self, hook: str) -> None:
        if self.options.hook == hook:
            raise KeyError("tripped")


class Miscounting(StreamLayer):
    """Has its defect in `passed`."""

    def passed(self, direction: Direction, count: int) -> None:
        raise KeyError("tripped")


@dataclass(frozen=True)
class What:
    what: str = "text"


NONSENSE: dict[str, Any] = {"text": "text", "number": 7, "list": [1, 2], "true": True}


class Nonsense(StreamLayer):
    """Answers with what is no bytes."""

    Options = What

    def outgoing(self, data: bytes) -> bytes:
        return NONSENSE[self.options.what]  # type: ignore[no-any-return]


class Echoing(StreamLayer):
    """Speaks against the stream: an echo for the program, a receipt for the peer."""

    def outgoing(self, data: bytes) -> bytes:
        self.send_in(b"sent:" + data)
        return data

    def incoming(self, data: bytes) -> bytes:
        self.send_out(b"got:" + data)
        return data


class Answering(StreamLayer):
    """Answers the program itself; nothing goes to the network."""

    def outgoing(self, data: bytes) -> None:
        self.send_in(data[::-1])


class Choosy(StreamLayer):
    """Wants nothing to do with anybody."""

    @classmethod
    def wants(cls, address: Sockaddr) -> bool:
        return False

    def opened(self) -> None:
        self.log("opened all the same")

    def outgoing(self, data: bytes) -> bytes:
        raise KeyError("unwanted")


class Refusing(StreamLayer):
    """Lets nobody go anywhere."""

    def connecting(self, address: Sockaddr) -> None:
        raise PermissionError("not there")
