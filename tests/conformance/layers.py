"""Layers that change nothing, in different ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from winsock.abi.sockaddr import Sockaddr
from winsock.spi.handles import NonIfsLayer
from winsock.spi.layer import Layer
from winsock.spi.provider import ReadBuffer, WriteBuffer
from winsock.spi.stream import StreamLayer


class PassThrough(Layer):
    """Overrides nothing."""


class OwnHandles(NonIfsLayer):
    """Overrides nothing, under handles of its own."""


class SameAddress(Layer):
    """Answers every connect with the address that was asked for, and looks at every peer."""

    datagrams = True

    def connecting(self, address: Sockaddr) -> Sockaddr:
        return address

    def accepted(self, address: Sockaddr | None) -> None:
        assert address is not None


class CopiedBytes(Layer):
    """Passes copies of everything that is sent and received."""

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        return self.next.WSPSend(s, list(buffers), flags)

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        return self.next.WSPRecv(s, list(buffers), flags)


class Untouched(StreamLayer):
    """Wants every connection, and sees no byte."""


class ReadBytes(StreamLayer):
    """Sees every byte, and changes none."""

    def outgoing(self, data: bytes) -> bytes:
        return data

    def incoming(self, data: bytes) -> bytes:
        return data
