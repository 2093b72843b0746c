"""A layer that gets the bytes: one `StreamLayer` object is one connection, a machine without I/O.

A driver runs it, and the layer does not know which: in the caller's thread under WSPSend and WSPRecv, or in a relay
under `winsock run`. What the application sends comes to `outgoing` and what the network brings to `incoming`; what
these return goes on. Everything else a layer does by verbs (`send_out`, `send_in`, `wake_at`, `fail`, `ready`), which
take effect when the hook returns. One thread enters a connection at a time; what connections share is the layer's
to guard.

Where several layers stand above each other, the uppermost gets the application's bytes first and the network's last.
A layer that must speak first (`opening`) is opened when those below it are ready.

A layer must not know the sockets, the driver, or who stands above and below.

Source: design; nf-ws2spi-wpucreatesockethandle, "Layered Service Provider Considerations" (why such a layer makes its
own handles).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from winsock.core import journal
from winsock.spi.guard import given_name

if TYPE_CHECKING:
    from winsock.abi.errors import WinsockError
    from winsock.abi.sockaddr import Sockaddr
    from winsock.spi.calling import Call
    from winsock.spi.stats import Stats

Direction = Literal["outgoing", "incoming"]

DATA_HOOKS = ("outgoing", "incoming")


class Driver(Protocol):
    """What stands behind the verbs."""

    def send_out(self, data: bytes) -> None:
        """Towards the network."""
        ...

    def send_in(self, data: bytes) -> None:
        """Towards the application."""
        ...

    def end_out(self) -> None:
        """Let the end of the outgoing stream go on."""
        ...

    def end_in(self) -> None:
        """Let the end of the incoming stream go on."""
        ...

    def wake_at(self, time: float | None) -> None:
        """Call `timer` then."""
        ...

    def fail(self, error: WinsockError | OSError) -> None:
        """End the connection with an error."""
        ...

    def ready(self) -> None:
        """The opening exchange is over."""
        ...

    def now(self) -> float:
        """The driver's clock."""
        ...


class StreamLayer:
    """Everything passes; a subclass overrides hooks. Nothing is called for datagrams."""

    name: ClassVar[str] = "stream"
    """How the layer is called in chains and lines; a subclass without one is called as its class, in small letters."""
    Options: ClassVar[type | None] = None
    """A dataclass, if the layer has options: `self.options` is one of them, `--layer name,field=value` fills it."""
    opening: ClassVar[bool] = False
    """Whether the layer speaks before the application: the connect is complete when it calls `ready()`."""
    enforces: ClassVar[bool] = False
    """Whether the layer must not be bypassed: its chain refuses what it does not understand."""
    ifs_handles: ClassVar[bool] = False
    """A layer that gets the bytes makes handles of its own."""

    options: Any = None
    role: Literal["connect", "accept"]
    """How the connection came about."""
    peer: Sockaddr | None = None
    """Whom it is with; before `opened`, whom the application asked for."""
    local: Sockaddr | None = None
    """Our address, from `opened` on."""
    caller: Call
    """Who connected or accepted: see `winsock.current_call`."""
    driver: Driver

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = given_name(cls)

    # Hooks: what a layer overrides.

    @classmethod
    def wants(cls, address: Sockaddr) -> bool:
        """Whether the layer has to do with a connection to, or from, that address; others it never sees."""
        return True

    def connecting(self, address: Sockaddr) -> Sockaddr | tuple[Any, ...] | None:
        """As of `Layer`: None to go there, another address to go to, or raise to refuse."""
        return None

    def accepted(self, address: Sockaddr | None) -> None:
        """As of `Layer`: raise to reset this connection and to wait for the next."""

    def opened(self) -> None:
        """The connection is there. What is sent now goes before anything that the application sends."""

    def outgoing(self, data: bytes) -> bytes | None:
        """The application sent this: answer with what goes on to the network, or None for nothing now."""
        return data

    def incoming(self, data: bytes) -> bytes | None:
        """The network brought this: answer with what goes on to the application, or None for nothing now."""
        return data

    def passed(self, direction: Direction, count: int) -> None:
        """So many bytes went through untouched: for a layer that only counts or times, and has no data hooks."""

    def outgoing_ended(self) -> bool | None:
        """The application sends no more. Answer True to hold that back until `end_out()`."""
        return None

    def incoming_ended(self) -> bool | None:
        """The network brings no more. Answer True to hold that back until `end_in()`."""
        return None

    def timer(self, now: float) -> None:
        """The time of `wake_at` has come; `now` in seconds of the driver's clock."""

    def closed(self, stats: Stats) -> None:
        """The connection is over, however it ended. What this raises is written down and changes nothing."""

    # Verbs.

    def send_out(self, data: bytes) -> None:
        """Send to the network, before what the hook returns."""
        self.driver.send_out(data)

    def send_in(self, data: bytes) -> None:
        """Hand to the application, before what the hook returns."""
        self.driver.send_in(data)

    def end_out(self) -> None:
        """Let the end go on that `outgoing_ended` held back."""
        self.driver.end_out()

    def end_in(self) -> None:
        """Let the end go on that `incoming_ended` held back."""
        self.driver.end_in()

    def wake_at(self, time: float | None) -> None:
        """Have `timer` called at that time of `now()`, once; the last call counts, None takes it back."""
        self.driver.wake_at(time)

    def fail(self, error: WinsockError | OSError) -> None:
        """End the connection: the application gets the error, the peer a reset."""
        self.driver.fail(error)

    def ready(self) -> None:
        """The opening exchange is over: the application's connect is complete."""
        self.driver.ready()

    def now(self) -> float:
        """Seconds of the driver's clock, which starts anywhere."""
        return self.driver.now()

    def log(self, text: str) -> None:
        """Write one line where the lines of the layers go."""
        journal.log(text, layer=self.name)


def overrides_stream(cls: type[StreamLayer], name: str) -> bool:
    """Whether a stream layer class has a hook of its own of that name."""
    here, there = getattr(cls, name), getattr(StreamLayer, name)
    return getattr(here, "__func__", here) is not getattr(there, "__func__", there)


def reads(cls: type[StreamLayer]) -> bool:
    """Whether the class wants to see the bytes, rather than count them."""
    return any(overrides_stream(cls, hook) for hook in DATA_HOOKS)
