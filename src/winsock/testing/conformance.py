"""What any provider and any chain of layers must do: one function a rule, plain asserts.

`check_provider()` runs them through the base provider, `check_provider(MyLayer)` through a chain, for both families. A
layer that changes bytes or addresses is not meant to pass the checks that this is about; `without` leaves them out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack

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

_SECONDS = 20.0
_MANY = 8
_BULK = 4 << 20


def check_provider(*layers: LayerLike, catalog: Catalog | None = None, without: Collection[str] = ()) -> None:
    """Hold a chain against every rule: the layers, the first uppermost, over the built-in base, or another catalog.

    `without` names checks that do not apply, "check_..." each. Raises AssertionError, which names the check, the
    family, and what was wrong.
    """
    unknown = set(without) - {check.__name__ for check in CHECKS}
    assert not unknown, f"there is no {', '.join(sorted(unknown))}"
    installed = through(*layers) if catalog is None else catalog
    for family in (AF_INET, AF_INET6) if has_ipv6() else (AF_INET,):
        for check in CHECKS:
            if check.__name__ not in without:
                _run(check, installed, family)


def _run(check: Callable[[World], None], catalog: Catalog, family: int) -> None:
    spelled = "IPv4" if family == AF_INET else "IPv6"
    with World(catalog, family) as world:
        try:
            check(world)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__} ({spelled}): {error}") from error
        except WinsockError as error:
            raise AssertionError(f"{check.__name__} ({spelled}): unexpected {error}") from error


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
    assert transfer.send(client, b"question") == 8
    assert _receive(server, 8) == b"question"
    assert transfer.send(server, b"answer") == 6
    assert _receive(client, 6) == b"answer"


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
    assert transfer.WSASend(client, [b"one", b"", bytearray(b"two")]) == 6
    first, second = bytearray(4), bytearray(4)
    assert _receive(server, 6, peek=True) == b"onetwo"
    assert transfer.WSARecv(server, [first, second]) == (6, 0)
    assert (bytes(first), bytes(second)) == (b"onet", b"wo\0\0")


def check_half_close(world: World) -> None:
    """After SD_SEND the peer reads the end, and the other direction goes on."""
    client, server = world.connected()
    sockets.shutdown(client, SD_SEND)
    assert transfer.recv(server, 10) == b"", "the end of the stream did not arrive"
    assert transfer.send(server, b"still here") == 10
    assert _receive(client, 10) == b"still here"
    _refused(WSAESHUTDOWN, lambda: transfer.send(client, b"x"))


def check_close_ends_the_stream(world: World) -> None:
    """A close is the end of the stream at the other side; the handle is none afterwards."""
    client, server = world.connected()
    transfer.send(client, b"last")
    sockets.closesocket(client)
    assert _receive(server, 4) == b"last"
    assert transfer.recv(server, 1) == b""
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
    assert sockets.getpeername(client) == sockets.getsockname(server) == address
    assert sockets.getpeername(server) == sockets.getsockname(client) == peer


def check_refused_connects_fail(world: World) -> None:
    """A blocking connect to a port where nobody listens is refused, and may be tried again."""
    nobody = world.closed_port()
    client = world.stream()
    _refused(WSAECONNREFUSED, lambda: sockets.connect(client, nobody))
    listener, address = world.listener()
    sockets.connect(client, address)
    assert sockets.accept(listener)[1] == sockets.getsockname(client)


def check_nonblocking_connects_tell_their_outcome(world: World) -> None:
    """A connect that is on its way is WSAEWOULDBLOCK; success shows for writing, failure as an exception."""
    listener, address = world.listener()
    client = _nonblocking(world.stream())
    _would_block(lambda: sockets.connect(client, address))
    assert waiting.select(0, None, [client], [client], _SECONDS) == ([], [client], [])
    assert options.getsockopt(client, SOL_SOCKET, SO_ERROR) == 0
    sockets.accept(listener)

    refused, nobody = _nonblocking(world.stream()), world.closed_port()
    error = _error_of(lambda: sockets.connect(refused, nobody))
    assert error is not None, "a connect to nobody succeeded"
    if error.winerror != WSAECONNREFUSED:  # on loopback the answer may be there at once
        assert error.winerror == WSAEWOULDBLOCK, f"a non-blocking connect answered {error}"
        assert waiting.select(0, None, [refused], [refused], _SECONDS) == ([], [], [refused])
        assert options.getsockopt(refused, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED


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
    assert _receive(server, 4) == b"late"


def check_datagrams_keep_their_bounds(world: World) -> None:
    """Each datagram is one message from one source, the empty one too."""
    one, other = world.datagram(), world.datagram()
    target = sockets.getsockname(other)
    for data in (b"first", b"", b"third"):
        assert transfer.sendto(one, data, 0, target) == len(data)
    for data in (b"first", b"", b"third"):
        assert transfer.recvfrom(other, 100) == (data, sockets.getsockname(one))


def check_long_datagrams_are_cut(world: World) -> None:
    """A datagram longer than the buffer is WSAEMSGSIZE with what fitted; the rest is gone."""
    one, other = world.datagrams()
    transfer.send(one, b"0123456789")
    transfer.send(one, b"next")
    buffer = bytearray(4)
    error = _refused(WSAEMSGSIZE, lambda: transfer.WSARecvFrom(other, [buffer]))
    assert (bytes(buffer), error.count, error.address) == (b"0123", 4, sockets.getsockname(one))
    assert transfer.recv(other, 10) == b"next"


def check_select_waits_for_data(world: World) -> None:
    """A socket is readable when data came, and not before; a listener when somebody connects."""
    listener, address = world.listener()
    client = world.stream()
    assert waiting.select(0, [listener], None, None, 0) == ([], [], [])
    sockets.connect(client, address)
    assert waiting.select(0, [listener], None, None, _SECONDS) == ([listener], [], [])
    server, _ = sockets.accept(listener)
    assert waiting.select(0, [server], [server], None, 0) == ([], [server], [])
    transfer.send(client, b"x")
    assert waiting.select(0, [server], None, None, _SECONDS) == ([server], [], [])
    assert options.ioctlsocket(server, FIONREAD) == 1


def check_select_spans_protocols(world: World) -> None:
    """One select may hold streams and datagram sockets."""
    client, server = world.connected()
    one, other = world.datagrams()
    assert waiting.select(0, [server, other], None, None, 0) == ([], [], [])
    transfer.send(one, b"x")
    assert waiting.select(0, [server, other], None, None, _SECONDS) == ([other], [], [])
    transfer.send(client, b"x")
    assert waiting.select(0, [server], None, None, _SECONDS) == ([server], [], [])
    assert waiting.select(0, [server, other], None, None, _SECONDS) == ([server, other], [], [])


def check_options_keep_their_values(world: World) -> None:
    """An option reads as it was set."""
    s = world.stream()
    for optname, value in ((SO_LINGER, Linger(1, 5)), (SO_RCVTIMEO, 4000), (SO_REUSEADDR, 1)):
        options.setsockopt(s, SOL_SOCKET, optname, value)
        assert options.getsockopt(s, SOL_SOCKET, optname) == value
    datagram = world.datagram()
    assert options.getsockopt(datagram, SOL_SOCKET, SO_BROADCAST) == 0
    options.setsockopt(datagram, SOL_SOCKET, SO_BROADCAST, 1)
    assert options.getsockopt(datagram, SOL_SOCKET, SO_BROADCAST) == 1


def check_addresses_are_converted(world: World) -> None:
    """Addresses become text and come back, by the chain's own provider."""
    _, address = world.listener()
    info = records[world.stream()].entry.info
    for given in (None, info):
        text = names.WSAAddressToString(address, given)
        assert names.WSAStringToAddress(text, world.family, given) == address
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
    assert answers == [b"?"] * _MANY


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

    def __init__(self, body: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._body = body
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._body()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *exception: object) -> None:
        self.join(_SECONDS)
        if self._error is not None:
            raise self._error
        assert not self.is_alive(), "a call does not come back"


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
