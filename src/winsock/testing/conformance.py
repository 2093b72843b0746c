"""What any provider and any chain of layers must do: one function a rule, plain asserts.

`check_provider()` runs them through the base provider, `check_provider(MyLayer)` through a chain, for both families. A
layer that changes bytes or addresses is not meant to pass the checks that this is about; `without` leaves them out.
"""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import TypeAlias

from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FIONBIO,
    FIONREAD,
    MSG_PEEK,
    SD_BOTH,
    SD_SEND,
    SO_BROADCAST,
    SO_ERROR,
    SO_LINGER,
    SO_PROTOCOL_INFO,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
    name_of,
)
from winsock.abi.options import Linger
from winsock.api import names, options, sockets, transfer, waiting
from winsock.catalog.entries import Catalog
from winsock.dispatcher.records import records
from winsock.spi.provider import FUNCTIONS, ProcTable
from winsock.testing.pairs import LayerLike, World, has_ipv6, through

_Sets: TypeAlias = "tuple[list[int], list[int], list[int]]"
_SECONDS = 20.0
_PATIENCE_S = 40.0
"""How long a check may take."""
_MOST_SHOWN = 100
_MANY = 8
_BULK = 4 << 20


def check_provider(*layers: LayerLike, catalog: Catalog | None = None, without: Collection[str] = ()) -> None:
    """Hold a chain against every rule: the layers, the first uppermost, over the built-in base, or another catalog.

    `without` names checks that do not apply, "check_..." each. Raises AssertionError, which names the check, the
    family, and what was wrong: a call that does not come back, too.
    """
    unknown = set(without) - {check.__name__ for check in CHECKS}
    assert not unknown, f"there is no {', '.join(sorted(unknown))}"
    installed = through(*layers) if catalog is None else catalog
    for family in (AF_INET, AF_INET6) if has_ipv6() else (AF_INET,):
        for check in CHECKS:
            if check.__name__ not in without:
                _run(check, installed, family)


def _run(check: Callable[[World], None], catalog: Catalog, family: int) -> None:
    world = World(catalog, family)
    world.__enter__()
    failures = [_failure(lambda: check(world)), _failure(lambda: world.__exit__(None, None, None))]
    for error in filter(None, failures):
        text = str(error) if isinstance(error, AssertionError) else f"unexpected {_named(error)}"
        raise AssertionError(f"{check.__name__} ({'IPv4' if family == AF_INET else 'IPv6'}): {text}") from error


def _failure(body: Callable[[], None]) -> Exception | None:
    """What a body fails with, in a thread of its own: nobody else could leave a call that does not come back."""
    try:
        with _Thread(body, _PATIENCE_S):
            pass
    except Exception as error:
        return error
    return None


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, WinsockError) else f"{type(error).__name__}: {error}"


def check_tables_are_whole(world: World) -> None:
    """A dispatch table has 30 functions, and handles are served by the top of the chain that was opened."""
    for kind in (SOCK_STREAM, SOCK_DGRAM):
        record = records[sockets.socket(world.family, kind, 0)]
        assert record.table is record.chain.table, "the handle does not enter at the top of its chain"
        assert not record.table.missing(), f"the table lacks {record.table.missing()}"
        assert len(ProcTable.__slots__) == len(FUNCTIONS)


def check_sockets_tell_their_protocol(world: World) -> None:
    """SO_PROTOCOL_INFO is the entry that the application opened."""
    s = world.stream()
    info = options.getsockopt(s, SOL_SOCKET, SO_PROTOCOL_INFO)
    assert info == records[s].entry.info, f"SO_PROTOCOL_INFO answers {info!r}"


def check_streams_carry_bytes_both_ways(world: World) -> None:
    """What is sent arrives, in order, in both directions."""
    client, server = world.connected()
    _same("send of 8 bytes answers", transfer.send(client, b"question"), 8)
    _same("who accepted receives", _receive(server, 8), b"question")
    _same("send of 6 bytes answers", transfer.send(server, b"answer"), 6)
    _same("who connected receives", _receive(client, 6), b"answer")


def check_streams_lose_nothing_under_back_pressure(world: World) -> None:
    """A sender that is faster than its receiver waits; every byte arrives once and in order."""
    client, server = world.connected()
    block = bytes(range(251)) * (_BULK // 251)
    received = bytearray()

    def take() -> None:
        while data := transfer.recv(server, 65536):
            received.extend(data)

    with _Thread(take):
        assert transfer.send(client, block) == len(block), "a blocking send did not take all"
        sockets.shutdown(client, SD_SEND)
    assert received == block, f"{len(received)} of {len(block)} bytes arrived, or others"


def check_buffers_are_gathered_and_scattered(world: World) -> None:
    """Several buffers are one run of bytes, to send and to receive."""
    client, server = world.connected()
    _same("WSASend of 3 buffers answers", transfer.WSASend(client, [b"one", b"", bytearray(b"two")]), 6)
    first, second = bytearray(4), bytearray(4)
    _same("MSG_PEEK shows", _receive(server, 6, peek=True), b"onetwo")
    _same("WSARecv into 2 buffers answers", transfer.WSARecv(server, [first, second]), (6, 0))
    _same("the buffers hold", (bytes(first), bytes(second)), (b"onet", b"wo\0\0"))


def check_half_close(world: World) -> None:
    """After SD_SEND the peer reads the end, and the other direction goes on."""
    client, server = world.connected()
    sockets.shutdown(client, SD_SEND)
    _same("at the end of the stream recv answers", transfer.recv(server, 10), b"")
    _same("send of 10 bytes the other way answers", transfer.send(server, b"still here"), 10)
    _same("who has shut down sending receives", _receive(client, 10), b"still here")
    _refused(WSAESHUTDOWN, lambda: transfer.send(client, b"x"))


def check_close_ends_the_stream(world: World) -> None:
    """A close is the end of the stream at the other side; the handle is none afterwards."""
    client, server = world.connected()
    transfer.send(client, b"last")
    sockets.closesocket(client)
    _same("before the end comes", _receive(server, 4), b"last")
    _same("after the peer's close recv answers", transfer.recv(server, 1), b"")
    _refused(WSAENOTSOCK, lambda: transfer.send(client, b"x"))
    _refused(WSAENOTSOCK, lambda: sockets.getsockname(client))


def check_abortive_close_resets(world: World) -> None:
    """SO_LINGER of no time resets the connection."""
    client, server = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(client)
    _refused(WSAECONNRESET, lambda: transfer.recv(server, 1))


def check_names_agree(world: World) -> None:
    """Each end's name is the other end's peer; a socket without a peer has none."""
    listener, address = world.listener()
    client = world.stream()
    _refused(WSAENOTCONN, lambda: sockets.getpeername(client))
    _refused(WSAEINVAL, lambda: sockets.getsockname(client))
    sockets.connect(client, address)
    server, peer = sockets.accept(listener)
    _same("the peer of who connected", sockets.getpeername(client), address)
    _same("the name of who accepted", sockets.getsockname(server), address)
    _same("accept's address", peer, sockets.getsockname(client))
    _same("the peer of who accepted", sockets.getpeername(server), peer)


def check_refused_connects_fail(world: World) -> None:
    """A blocking connect to a port where nobody listens is refused, and may be tried again."""
    nobody = world.closed_port()
    client = world.stream()
    _refused(WSAECONNREFUSED, lambda: sockets.connect(client, nobody))
    listener, address = world.listener()
    sockets.connect(client, address)
    _same("accept's address", sockets.accept(listener)[1], sockets.getsockname(client))


def check_nonblocking_connects_tell_their_outcome(world: World) -> None:
    """A connect that is on its way is WSAEWOULDBLOCK; success shows for writing, failure as an exception."""
    listener, address = world.listener()
    client = _nonblocking(world.stream())
    _would_block(lambda: sockets.connect(client, address))
    _selected("a connected socket", ([], [client], [client]), ([], [client], []))
    _same("SO_ERROR of a connected socket", options.getsockopt(client, SOL_SOCKET, SO_ERROR), 0)
    sockets.accept(listener)

    refused, nobody = _nonblocking(world.stream()), world.closed_port()
    error = _error_of(lambda: sockets.connect(refused, nobody))
    assert error is not None, "a connect to nobody succeeded"
    if error.winerror != WSAECONNREFUSED:  # on loopback the answer may be there at once
        assert error.winerror == WSAEWOULDBLOCK, f"a non-blocking connect answered {error}"
        _selected("a refused socket", ([], [refused], [refused]), ([], [], [refused]))
        _same("SO_ERROR of a refused socket", options.getsockopt(refused, SOL_SOCKET, SO_ERROR), WSAECONNREFUSED)


def check_nonblocking_calls_do_not_wait(world: World) -> None:
    """Without data or connections a non-blocking socket answers WSAEWOULDBLOCK."""
    client, _ = world.connected()
    _refused(WSAEWOULDBLOCK, lambda: transfer.recv(_nonblocking(client), 1))
    listener, _ = world.listener()
    _refused(WSAEWOULDBLOCK, lambda: sockets.accept(_nonblocking(listener)))
    datagram = _nonblocking(world.datagram())
    _refused(WSAEWOULDBLOCK, lambda: transfer.recvfrom(datagram, 1))


def check_receive_time_out(world: World) -> None:
    """SO_RCVTIMEO ends a receive with WSAETIMEDOUT, and later data still arrives."""
    client, server = world.connected()
    options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, 20)
    _refused(WSAETIMEDOUT, lambda: transfer.recv(server, 1))
    options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, int(_SECONDS * 1000))
    transfer.send(client, b"late")
    _same("after the time-out comes", _receive(server, 4), b"late")


def check_datagrams_keep_their_bounds(world: World) -> None:
    """Each datagram is one message from one source, the empty one too."""
    one, other = world.datagram(), world.datagram()
    target = sockets.getsockname(other)
    for data in (b"first", b"", b"third"):
        _same(f"sendto of {data!r} answers", transfer.sendto(one, data, 0, target), len(data))
    for data in (b"first", b"", b"third"):
        _same("recvfrom answers", transfer.recvfrom(other, 100), (data, sockets.getsockname(one)))


def check_long_datagrams_are_cut(world: World) -> None:
    """A datagram longer than the buffer is WSAEMSGSIZE with what fitted; the rest is gone."""
    one, other = world.datagrams()
    transfer.send(one, b"0123456789")
    transfer.send(one, b"next")
    buffer = bytearray(4)
    error = _refused(WSAEMSGSIZE, lambda: transfer.WSARecvFrom(other, [buffer]))
    told = (bytes(buffer), error.count, error.address)
    _same("with WSAEMSGSIZE come the data, count and address", told, (b"0123", 4, sockets.getsockname(one)))
    _same("the next datagram", transfer.recv(other, 10), b"next")


def check_select_waits_for_data(world: World) -> None:
    """A socket is readable when data came, and not before; a listener when somebody connects."""
    listener, address = world.listener()
    client = world.stream()
    _selected("a listener that nobody asked", ([listener], [], []), ([], [], []), 0)
    sockets.connect(client, address)
    _selected("a listener that was asked", ([listener], [], []), ([listener], [], []))
    server, _ = sockets.accept(listener)
    _selected("a connection without data", ([server], [server], []), ([], [server], []), 0)
    transfer.send(client, b"x")
    _selected("a connection with data", ([server], [], []), ([server], [], []))
    _same("FIONREAD where one byte waits", options.ioctlsocket(server, FIONREAD), 1)


def check_select_spans_protocols(world: World) -> None:
    """One select may hold streams and datagram sockets."""
    client, server = world.connected()
    one, other = world.datagrams()
    both = [server, other]
    _selected("a stream and a datagram socket without data", (both, [], []), ([], [], []), 0)
    transfer.send(one, b"x")
    _selected("a stream, and a datagram socket with data", (both, [], []), ([other], [], []))
    transfer.send(client, b"x")
    _selected("a stream with data", ([server], [], []), ([server], [], []))
    _selected("a stream and a datagram socket with data", (both, [], []), (both, [], []))


def check_options_keep_their_values(world: World) -> None:
    """An option reads as it was set."""
    s = world.stream()
    for optname, value in ((SO_LINGER, Linger(1, 5)), (SO_RCVTIMEO, 4000), (SO_REUSEADDR, 1)):
        options.setsockopt(s, SOL_SOCKET, optname, value)
        _same(f"option {optname:#x} set to {value}", options.getsockopt(s, SOL_SOCKET, optname), value)
    datagram = world.datagram()
    _same("SO_BROADCAST of a new socket", options.getsockopt(datagram, SOL_SOCKET, SO_BROADCAST), 0)
    options.setsockopt(datagram, SOL_SOCKET, SO_BROADCAST, 1)
    _same("SO_BROADCAST set to 1", options.getsockopt(datagram, SOL_SOCKET, SO_BROADCAST), 1)


def check_addresses_are_converted(world: World) -> None:
    """Addresses become text and come back, by the chain's own provider."""
    _, address = world.listener()
    info = records[world.stream()].entry.info
    for given in (None, info):
        text = names.WSAAddressToString(address, given)
        _same(f"{text!r} as an address", names.WSAStringToAddress(text, world.family, given), address)
    _refused(WSAEINVAL, lambda: names.WSAStringToAddress("no address", world.family))


def check_bad_arguments_are_refused(world: World) -> None:
    """What is no address and no buffer is WSAEFAULT; what is no direction is WSAEINVAL."""
    client, _ = world.connected()
    _refused(WSAEFAULT, lambda: sockets.connect(world.stream(), None))  # type: ignore[arg-type]
    _refused(WSAEFAULT, lambda: transfer.send(client, None))  # type: ignore[arg-type]
    _refused(WSAEFAULT, lambda: transfer.recv(client, -1))
    _refused(WSAEINVAL, lambda: sockets.shutdown(client, SD_BOTH + 1))


def check_threads_may_enter_at_once(world: World) -> None:
    """Several threads connect, talk and close through one chain."""
    listener, address = world.listener(_MANY)

    def serve() -> None:
        for _ in range(_MANY):
            server, _peer = sockets.accept(listener)
            transfer.send(server, transfer.recv(server, 1))
            sockets.closesocket(server)

    answers: list[bytes] = []

    def ask() -> None:
        client = world.stream()
        sockets.connect(client, address)
        transfer.send(client, b"?")
        answers.append(transfer.recv(client, 1))
        sockets.closesocket(client)

    with ExitStack() as running:
        for body in (serve, *[ask] * _MANY):
            running.enter_context(_Thread(body))
    _same(f"the answers to {_MANY} questions", answers, [b"?"] * _MANY)


CHECKS: tuple[Callable[[World], None], ...] = (
    check_tables_are_whole,
    check_sockets_tell_their_protocol,
    check_streams_carry_bytes_both_ways,
    check_streams_lose_nothing_under_back_pressure,
    check_buffers_are_gathered_and_scattered,
    check_half_close,
    check_close_ends_the_stream,
    check_abortive_close_resets,
    check_names_agree,
    check_refused_connects_fail,
    check_nonblocking_connects_tell_their_outcome,
    check_nonblocking_calls_do_not_wait,
    check_receive_time_out,
    check_datagrams_keep_their_bounds,
    check_long_datagrams_are_cut,
    check_select_waits_for_data,
    check_select_spans_protocols,
    check_options_keep_their_values,
    check_addresses_are_converted,
    check_bad_arguments_are_refused,
    check_threads_may_enter_at_once,
)
"""Every rule, in the order in which they are checked."""


class _Thread(threading.Thread):
    """A thread whose failure is the test's."""

    def __init__(self, body: Callable[[], None], patience_s: float = _SECONDS) -> None:
        super().__init__(daemon=True)
        self._body = body
        self._patience_s = patience_s
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._body()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *exception: object) -> None:
        self.join(self._patience_s)
        if self._error is not None:
            raise self._error
        assert not self.is_alive(), f"a call does not come back: {self._where()}"

    def _where(self) -> str:
        """The line of the check that it is in."""
        line, frame = "", sys._current_frames().get(self.ident or 0)
        while frame is not None and frame.f_code is not _Thread.run.__code__:
            if frame.f_code.co_filename == __file__ and frame.f_code.co_name != "<lambda>":
                line = linecache.getline(__file__, frame.f_lineno).strip()
            frame = frame.f_back
        return line


def _same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}: {_short(found)}, not {_short(wanted)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _selected(what: str, asked: _Sets, wanted: _Sets, seconds: float = _SECONDS) -> None:
    """What select tells of readable, writable and excepted sockets."""
    _same(f"{what}, select tells readable, writable, failed", waiting.select(0, *asked, seconds), wanted)


def _receive(s: int, count: int, peek: bool = False) -> bytes:
    """Exactly so many bytes of a stream, which may come in parts; peeking leaves them there."""
    if peek:
        while options.ioctlsocket(s, FIONREAD) < count:
            waiting.select(0, [s], None, None, _SECONDS)
        return transfer.recv(s, count, MSG_PEEK)
    received = b""
    while len(received) < count:
        data = transfer.recv(s, count - len(received))
        assert data, f"the stream ended after {received!r}"
        received += data
    return received


def _nonblocking(s: int) -> int:
    options.ioctlsocket(s, FIONBIO, 1)
    return s


def _would_block(call: Callable[[], object]) -> None:
    """Run a call that may go on by itself."""
    error = _error_of(call)
    assert error is None or error.winerror == WSAEWOULDBLOCK, f"expected WSAEWOULDBLOCK, not {error}"


def _refused(code: int, call: Callable[[], object]) -> WinsockError:
    """Run a call that must fail with this code."""
    error = _error_of(call)
    assert error is not None, f"expected {name_of(code)}, but the call succeeded"
    assert error.winerror == code, f"expected {name_of(code)}, not {error}"
    return error


def _error_of(call: Callable[[], object]) -> WinsockError | None:
    try:
        call()
    except WinsockError as error:
        return error
    return None
