"""One stream layer at work: its hooks guarded, and what its verbs and hooks gave, gathered in order.

A hook that raises, or answers with anything but bytes, fails the connection: nothing goes round the layer. What was
gathered before that stays where it is and is not sent on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from winsock.abi.errors import WSAECONNRESET, WSASYSCALLFAILURE, WinsockError, code_of
from winsock.spi.guard import failure, refusal
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
        self._flow("outgoing", item, self.to_network)

    def incoming(self, item: Item) -> None:
        """From the network."""
        self._flow("incoming", item, self.to_application)

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
        except Exception as error:
            failure(self.layer, "closed", error)

    # The verbs.

    def send_out(self, data: bytes) -> None:
        self._gather("send_out", data, self.to_network)

    def send_in(self, data: bytes) -> None:
        self._gather("send_in", data, self.to_application)

    def end_out(self) -> None:
        self.to_network.append(END)

    def end_in(self) -> None:
        self.to_application.append(END)

    def wake_at(self, time: float | None) -> None:
        self.wake = time

    def fail(self, error: WinsockError | OSError) -> None:
        if self.error is None:
            self.error = _as_winsock(error)

    def ready(self) -> None:
        self.is_ready = True

    def now(self) -> float:
        return self._clock()

    # What is behind them.

    def _flow(self, direction: Direction, item: Item, onward: deque[Item]) -> None:
        if self.error is not None:
            return
        if item is END:
            if self._enter(f"{direction}_ended") is not True and self.error is None:
                onward.append(END)
        elif self.reads:
            answer = self._enter(direction, item)
            if answer is not None and self.error is None:
                self._gather(direction, answer, onward)
        else:
            onward.append(item)
            if self.counts:
                self._enter("passed", direction, len(item))

    def _gather(self, where: str, data: Any, onward: deque[Item]) -> None:
        if not isinstance(data, _BYTES):
            nonsense = TypeError(f"bytes are wanted, not {type(data).__name__}")
            self.fail(failure(self.layer, where, nonsense))
        elif data:
            onward.append(data if type(data) is bytes else bytes(data))

    def _enter(self, hook: str, *args: Any) -> Any:
        try:
            return getattr(self.layer, hook)(*args)
        except WinsockError as error:
            self.fail(error)
        except Exception as error:
            self.fail(refusal(error) or failure(self.layer, hook, error))
        return None


def _as_winsock(error: Any) -> WinsockError:
    """What a layer fails with, as the application can get it."""
    if isinstance(error, WinsockError):
        return error
    if isinstance(error, OSError):
        return refusal(error) or WinsockError(code_of(error.errno or 0) if error.errno else WSAECONNRESET, str(error))
    return WinsockError(WSASYSCALLFAILURE, f"fail() was given {error!r}, which is no error")
