"""What makes a `StreamLayer` a provider: the direct driver in one process, the relay under `winsock run`.

A driver is a `Layer` of its own for each chain, and has a stream layer object for each connection. For datagrams there
is nothing to drive: there it is a layer that passes everything, and hands up the handles from below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from winsock.abi.constants import SOCK_STREAM
from winsock.spi.layer import Layer

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.stream import StreamLayer

    Maker: TypeAlias = Callable[[type[StreamLayer], WSAPROTOCOL_INFO], Layer]

_maker: Maker | None = None


def use(maker: Maker | None) -> None:
    """Have the drivers of stream chains made by `maker` from now on; None: the direct driver."""
    global _maker
    _maker = maker


def make(kind: type[StreamLayer], info: WSAPROTOCOL_INFO) -> Layer:
    """A driver of that class of layer for a chain; it bears the layer's name, and takes its options."""
    if info.iSocketType != SOCK_STREAM:
        driver = Layer()
    elif _maker is not None:
        driver = _maker(kind, info)
    else:
        from winsock.dispatcher.drivers.direct import Direct

        driver = Direct(kind)
    vars(driver).update(name=kind.name, Options=kind.Options, enforces=kind.enforces)
    return driver
