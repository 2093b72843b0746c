"""A layer that overrides every function that `winsock run` carries, and changes nothing: all answers stay the kernel's.

It names no socket options, so that every option that the host knows goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.abi.sockaddr import Sockaddr
from winsock.spi.layer import Layer
from winsock.spi.provider import OptionValue, ReadBuffer, WriteBuffer

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO


class Everything(Layer):
    """Forwards each call as it came."""

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        return super().WSPSocket(af, type, protocol, protocol_info, g, flags)

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        return super().WSPConnect(s, name, caller_data, callee_data, sqos, gqos)

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        self.next.WSPBind(s, name)

    def WSPListen(self, s: int, backlog: int) -> None:
        self.next.WSPListen(s, backlog)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        return super().WSPAccept(s, condition, callback_data)

    def WSPShutdown(self, s: int, how: int) -> None:
        self.next.WSPShutdown(s, how)

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        return self.next.WSPGetPeerName(s)

    def WSPGetSockName(self, s: int) -> Sockaddr:
        return self.next.WSPGetSockName(s)

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        return super().WSPGetSockOpt(s, level, optname)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.next.WSPSetSockOpt(s, level, optname, value)
