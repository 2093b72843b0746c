"""A base provider that answers everything and writes down what it was asked: what stands below the sample."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from winsock.abi.errors import WinsockError
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import SockaddrIn
from winsock.spi.provider import FUNCTIONS, WSPDATA, ProcTable
from winsock.spi.upcalls import Upcalls

PATH = f"{__name__}:Lower"
ID = GUID.parse("{7a1c0d52-3c1f-4b58-9f0e-6f2b8a4d1eff}")
PEER = SockaddrIn("192.0.2.7", 7)


class Call(NamedTuple):
    """One call: of whom, of what, with what."""

    provider: Lower
    function: str
    arguments: tuple[Any, ...]


class Start(NamedTuple):
    """One WSPStartup."""

    provider: Lower
    version: int
    info: WSAPROTOCOL_INFO
    upcalls: Upcalls


class Wait:
    """A call that is being waited in: `entered` when it is, until `leave` says that it may go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.leave.wait(20)


class Lower:
    """Its sockets are descriptors that nobody else knows; the record is the class's."""

    calls: ClassVar[list[Call]] = []
    starts: ClassVar[list[Start]] = []
    cleanups: ClassVar[list[Lower]] = []
    error: ClassVar[WinsockError | None] = None
    """What every call but WSPCloseSocket raises."""
    waits: ClassVar[dict[str, Wait]] = {}
    """Function -> what is done before it answers."""

    @classmethod
    def forget(cls) -> None:
        """Begin anew."""
        cls.calls.clear()
        cls.starts.clear()
        cls.cleanups.clear()
        cls.waits.clear()
        cls.error = None

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self.info = protocol_info
        self.starts.append(Start(self, version, protocol_info, upcalls))
        return WSPDATA(szDescription="recorded"), ProcTable.of(self)

    def WSPCleanup(self) -> None:
        self.cleanups.append(self)

    def __getattr__(self, name: str) -> Any:
        if name in FUNCTIONS:
            return partial(self._called, name)
        raise AttributeError(name)

    def _called(self, function: str, *arguments: Any) -> Any:
        self.calls.append(Call(self, function, arguments))
        if function in self.waits:
            self.waits[function]()
        if self.error is not None and function != "WSPCloseSocket":
            raise self.error
        answer = ANSWERS.get(function)
        return answer(self, *arguments) if answer else function


def _new(*_: Any) -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


ANSWERS: dict[str, Callable[..., Any]] = {
    "WSPAccept": lambda lower, *arguments: (_new(), PEER),
    "WSPCloseSocket": lambda lower, s: os.close(s),
    "WSPDuplicateSocket": lambda lower, s, process: lower.info._replace(dwProviderReserved=process + 1),
    "WSPGetPeerName": lambda *arguments: PEER,
    "WSPJoinLeaf": _new,
    "WSPRecv": lambda lower, *arguments: (3, 0),
    "WSPRecvFrom": lambda lower, *arguments: (4, 0, PEER),
    "WSPSelect": lambda lower, nfds, reads, writes, exceptions, timeout: (list(reads), list(writes), []),
    "WSPSend": lambda lower, s, buffers, *rest: sum(map(len, buffers)),
    "WSPSendTo": lambda lower, s, buffers, *rest: sum(map(len, buffers)),
    "WSPSetSockOpt": lambda *arguments: None,
    "WSPSocket": _new,
}
"""What is answered; of other functions their name."""
