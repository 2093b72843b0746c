"""What every driver asks of a stream layer before there is a connection: whether it wants one, where to, from whom.

A hook that has a defect fails the call, and so the connection: nothing goes round the layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from winsock.abi.constants import AF_UNSPEC
from winsock.abi.errors import WinsockError
from winsock.spi.calling import current_call
from winsock.spi.guard import defects, failure, refusal
from winsock.spi.layer import Layer
from winsock.spi.stream import StreamLayer, overrides_stream

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr


class Asking(Layer):
    """The part of a driver that knows a class of stream layers. What the hooks raise is raised as a `WinsockError`."""

    def __init__(self, kind: type[StreamLayer]) -> None:
        self.kind = kind
        self._chooses = overrides_stream(kind, "wants")

    def _wants(self, address: Sockaddr) -> bool:
        if address.family == AF_UNSPEC:
            return False
        if not self._chooses:
            return True
        try:
            return bool(self.kind.wants(address))
        except defects() as error:
            raise _as_answer(self.kind, "wants", error) from error

    def _new_layer(self, role: Literal["connect", "accept"], peer: Sockaddr) -> StreamLayer:
        try:
            layer = self.kind()
        except defects() as error:
            raise _as_answer(self.kind, "__init__", error) from error
        layer.options = self.options
        layer.role, layer.peer, layer.caller = role, peer, current_call()
        return layer

    def _asked(self, layer: StreamLayer, name: Sockaddr) -> Sockaddr:
        """Where the layer's `connecting` sends a connect."""
        try:
            answer = layer.connecting(name)
        except defects() as error:
            raise _as_answer(layer, "connecting", error) from error
        return name if answer is None else self._fitted(answer)

    def _let_in(self, layer: StreamLayer, address: Sockaddr) -> None:
        """Ask the layer's `accepted`; it raises to refuse."""
        try:
            layer.accepted(address)
        except defects() as error:
            raise _as_answer(layer, "accepted", error) from error


def _as_answer(layer: object, hook: str, error: BaseException) -> WinsockError:
    """What a hook raised, as the error of the call."""
    return error if isinstance(error, WinsockError) else refusal(error) or failure(layer, hook, error)
