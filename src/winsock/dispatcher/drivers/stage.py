"""One stream layer at work: its hooks guarded, and what its verbs and hooks gave, gathered in order.

A hook that raises, or answers with anything but bytes, fails the connection: nothing goes round the layer. What was
gathered before that stays where it is and is not sent on. After the end of a stream nothing comes out of a layer in
that direction: what it gives too late is dropped, and a line says so.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from winsock.abi.errors import WSAECONNRESET, WSASYSCALLFAILURE, WinsockError, code_of
from winsock.core import journal
from winsock.spi.guard import defects, defined_at, failure, refusal
from winsock.spi.stream import Direction, StreamLayer, overrides_stream, reads

if TYPE_CHECKING:
    from winsock.spi.stats import Stats


class _End(Enum):
    END = "the stream ends here"


END: Final = _End.END
Item: TypeAlias = "bytes | Literal[_End.END]"
"""What flows: bytes, and at last the end."""

_BYTES = (bytes, bytearray, memoryview)


class Stage:
    """A connection of one layer. It is the layer's `driver`."""

    __slots__ = (
        "_clock",
        "_onward",
        "_over",
        "_was_late",
        "counts",
        "error",
        "is_open",
        "is_ready",
        "layer",
        "reads",
        "to_application",
        "to_network",
        "wake",
    )

    def __init__(self, layer: StreamLayer, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.layer = layer
        layer.driver = self
        self.reads = reads(type(layer))
        """Whether the layer sees bytes; else they only pass."""
        self.counts = not self.reads and overrides_stream(type(layer), "passed")
        self.is_open = False
        self.is_ready = False
        self.to_network: deque[Item] = deque()
        """What the layer gave for below and nobody took yet."""
        self.to_application: deque[Item] = deque()
        self._onward = {"outgoing": self.to_network, "incoming": self.to_application}
        self._over: set[str] = set()
        """The directions in which the layer gave the end."""
        self._was_late = False
        self.wake: float | None = None
        """When `timer` is due."""
        self.error: WinsockError | None = None
        """Why the connection failed here."""

    # What a driver tells.

    def open(self) -> None:
        """The connection is there, and ready below."""
        self.is_open = True
        self._enter("opened")
        if not self.layer.opening:
            self.is_ready = True

    def outgoing(self, item: Item) -> None:
        """From the application."""
        self._flow("outgoing", item)

    def incoming(self, item: Item) -> None:
        """From the network."""
        self._flow("incoming", item)

    def through(self, direction: Direction, data: bytes) -> bytes | None:
        """As these two, for the usual case: of one piece comes one piece. Else None, and what came is gathered."""
        if self.error is not None or self._over:
            self._flow(direction, data)
            return None
        if not self.reads:
            if not self.counts:
                return data
            self._flow(direction, data)
            return None
        try:
            answer = self.layer.outgoing(data) if direction == "outgoing" else self.layer.incoming(data)
        except defects() as error:
            self._refuse(direction, error)
            return None
        if type(answer) is bytes and answer and not (self.to_network or self.to_application or self.error):
            return answer
        self._answered(direction, answer)
        return None

    def tick(self, now: float) -> None:
        """Call the timer if it is due."""
        if self.wake is not None and self.wake <= now and self.error is None:
            self.wake = None
            self._enter("timer", now)

    def passed(self, direction: Direction, count: int) -> None:
        """So many bytes went by without coming here."""
        if self.error is None:
            self._enter("passed", direction, count)

    def closed(self, stats: Stats) -> None:
        """The connection is over."""
        try:
            self.layer.closed(stats)
        except defects() as error:
            failure(self.layer, "closed", error)

    # The verbs.

    def send_out(self, data: bytes) -> None:
        self._give("outgoing", data)

    def send_in(self, data: bytes) -> None:
        self._give("incoming", data)

    def end_out(self) -> None:
        self._end("outgoing")

    def end_in(self) -> None:
        self._end("incoming")

    def wake_at(self, time: float | None) -> None:
        if time is not None and not isinstance(time, (int, float)):
            raise TypeError(f"seconds of the clock are wanted, or None, not {type(time).__name__}")
        if time is not None and math.isnan(time):
            raise ValueError("that is no time")
        self.wake = time

    def fail(self, error: WinsockError | OSError) -> None:
        if self.error is None:
            self.error = _as_winsock(error)
        if not isinstance(error, OSError):
            raise TypeError(f"a WinsockError is wanted, or an OSError, not {error!r}")

    def ready(self) -> None:
        self.is_ready = True

    def now(self) -> float:
        return self._clock()

    # What is behind them.

    def _flow(self, direction: Direction, item: Item) -> None:
        if self.error is not None:
            return
        if item is END:
            self._asked(direction, f"{direction}_ended")
        elif self.reads:
            self._answered(direction, self._enter(direction, item))
        else:
            self._give(direction, item)
            if self.counts:
                self._enter("passed", direction, len(item))

    def _asked(self, direction: Direction, hook: str) -> None:
        """Pass the end on, unless the layer holds it back."""
        answer = self._enter(hook)
        if answer is not None and not isinstance(answer, bool):
            error = TypeError(f"True or None is wanted, not {type(answer).__name__}")
            self.fail(failure(self.layer, hook, error, defined_at(self.layer, hook)))
        if self.error is None and not answer:
            self._end(direction)

    def _answered(self, direction: Direction, answer: Any) -> None:
        """What a data hook returned."""
        if answer is None or self.error is not None:
            return
        try:
            self._give(direction, answer)
        except TypeError as error:
            self.fail(failure(self.layer, direction, error, defined_at(self.layer, direction)))

    def _give(self, direction: Direction, data: Any) -> None:
        if not isinstance(data, _BYTES):
            raise TypeError(f"bytes are wanted, not {type(data).__name__}")
        if data and direction in self._over:
            self._too_late(direction)
        elif data:
            self._onward[direction].append(data if type(data) is bytes else bytes(data))

    def _end(self, direction: Direction) -> None:
        if direction not in self._over:
            self._over.add(direction)
            self._onward[direction].append(END)

    def _too_late(self, direction: Direction) -> None:
        if not self._was_late:
            self._was_late = True
            journal.log(f"layer {self.layer.name}: the {direction} stream has ended, what comes after that is dropped")

    def _enter(self, hook: str, *args: Any) -> Any:
        try:
            return getattr(self.layer, hook)(*args)
        except defects() as error:
            self._refuse(hook, error)
        return None

    def _refuse(self, hook: str, error: BaseException) -> None:
        """What a hook raised ends the connection."""
        self.fail(error if isinstance(error, WinsockError) else refusal(error) or failure(self.layer, hook, error))


def _as_winsock(error: Any) -> WinsockError:
    """What a layer fails with, as the application can get it."""
    if isinstance(error, WinsockError):
        return error
    if isinstance(error, OSError):
        return refusal(error) or WinsockError(code_of(error.errno or 0) if error.errno else WSAECONNRESET, str(error))
    return WinsockError(WSASYSCALLFAILURE, f"fail() was given {error!r}, which is no error")
