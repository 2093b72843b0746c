"""WSASendMsg: datagrams, to an address or to the peer (ADDR-010, IO-016)."""

from __future__ import annotations

from socket import inet_aton
from typing import Any, cast

import pytest

import winsock
from tests.refusals import refused
from winsock import WSACMSGHDR, WSAMSG, Layer, NonIfsLayer, StreamLayer, pack_control
from winsock.abi import constants as c
from winsock.abi.errors import WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL, WSAENOTCONN, WSAEOPNOTSUPP
from winsock.abi.guids import WSAID_WSASENDMSG
from winsock.abi.sockaddr import Sockaddr, SockaddrIn6
from winsock.dispatcher.records import records
from winsock.testing import World
from winsock.testing.pairs import through


def test_to_an_address_in_pieces_binds_addr_010(world: World) -> None:
    receiver = world.datagram()
    s = winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0)
    assert winsock.WSASendMsg(s, WSAMSG(winsock.getsockname(receiver), [b"one", b" datagram"])) == 12
    data, source = winsock.recvfrom(receiver, 100)
    assert data == b"one datagram"
    assert getattr(source, "port", None) == getattr(winsock.getsockname(s), "port", 0) != 0


def test_to_the_peer_and_to_somebody_else(world: World) -> None:
    pair, other = world.datagrams(), world.datagram()
    assert winsock.WSASendMsg(pair.client, WSAMSG(None, [b"peer"])) == 4
    assert winsock.WSASendMsg(pair.client, WSAMSG(winsock.getsockname(other), [b"other"])) == 5
    assert winsock.recv(pair.server, 100) == b"peer"
    assert winsock.recv(other, 100) == b"other"


def test_the_messages_own_flags_are_not_looked_at_io_016(world: World) -> None:
    pair = world.datagrams()
    assert winsock.WSASendMsg(pair.client, WSAMSG(None, [b"x"], flags=0x40000000)) == 1
    with refused(WSAEINVAL):
        winsock.WSASendMsg(pair.client, WSAMSG(None, [b"x"]), 0x40000000)


def test_streams_have_no_messages_io_016_ov_50(world: World) -> None:
    with refused(WSAEINVAL):
        winsock.WSASendMsg(world.connected().client, WSAMSG(None, [b"x"]))


@pytest.mark.parametrize("message", [None, b"bytes", (None, [b"x"])])
def test_what_is_no_message(world: World, message: object) -> None:
    with refused(WSAEFAULT):
        winsock.WSASendMsg(world.datagram(), message)  # type: ignore[arg-type]


def test_what_cannot_be_sent(world: World) -> None:
    s = world.datagram()
    with refused(WSAEOPNOTSUPP):
        winsock.WSASendMsg(s, WSAMSG(world.anywhere, [b"x"]), c.MSG_PARTIAL)
    with refused(WSAENOTCONN):
        winsock.WSASendMsg(s, WSAMSG(None, [b"x"]))
    with refused(WSAEFAULT):
        winsock.WSASendMsg(s, WSAMSG(("127.0.0.1",), [b"x"]))
    with refused(WSAEAFNOSUPPORT):
        winsock.WSASendMsg(s, WSAMSG(SockaddrIn6("::1", 9), [b"x"]))


CONTROL = pack_control(WSACMSGHDR(c.IPPROTO_IP, c.IP_PKTINFO, inet_aton("127.0.0.2") + bytes(4)))


class Passing(Layer):
    """Overrides nothing of the kind."""

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        self.next.WSPBind(s, name)


class Sending(Layer):
    """Counts what is sent to the peer."""

    count = 0

    def WSPSend(self, *args: Any, **kwargs: Any) -> int | None:
        self.count += 1
        return self.next.WSPSend(*args, **kwargs)


class SendingTo(Layer):
    """Counts what is sent to an address."""

    count = 0

    def WSPSendTo(self, *args: Any, **kwargs: Any) -> int | None:
        self.count += 1
        return self.next.WSPSendTo(*args, **kwargs)


class Watching(SendingTo):
    """Stands between itself: with a function of its own in front of the one below."""

    def WSPIoctl(self, s: int, code: int, in_buffer: Any = None, *args: Any, **kwargs: Any) -> bytes | None:
        out = self.next.WSPIoctl(s, code, in_buffer, *args, **kwargs)
        if code != c.SIO_GET_EXTENSION_FUNCTION_POINTER or bytes(in_buffer) != WSAID_WSASENDMSG.pack():
            return bytes(out)

        def send(s: int, message: WSAMSG, *args: Any, **kwargs: Any) -> int | None:
            self.count += 1
            return cast("int | None", out(s, message._replace(buffers=[b"watched"]), *args, **kwargs))

        return winsock.ExtensionFunction(send)


class Own(NonIfsLayer):
    """Has handles that the base provider does not know."""


class Bytes(StreamLayer):
    """Has nothing to do with datagrams."""

    def outgoing(self, data: bytes) -> bytes:
        return data.upper()


def layer_of(s: int) -> Any:
    return records[s].chain.layers[0]


@pytest.mark.parametrize("layers", [(Passing,), (Bytes,), (Passing, Bytes, Passing)])
def test_control_data_goes_through_layers_that_do_not_send(layers: tuple[Any, ...]) -> None:
    with World(through(*layers)) as world:
        receiver, s = world.datagram(), world.datagram()
        assert winsock.WSASendMsg(s, WSAMSG(winsock.getsockname(receiver), [b"data"], CONTROL)) == 4
        data, source = winsock.recvfrom(receiver, 100)
        assert (data, getattr(source, "host", None)) == (b"data", "127.0.0.2")


@pytest.mark.parametrize("layers", [(Sending,), (SendingTo,), (Own,), (Passing, SendingTo), (SendingTo, Bytes)])
def test_control_data_goes_round_nobody(layers: tuple[Any, ...]) -> None:
    """A layer that sees what is sent would not see it: it is refused, and what has none goes as it ever did."""
    with World(through(*layers)) as world:
        pair = world.datagrams()
        for name in (None, winsock.getsockname(pair.server)):
            with refused(WSAEOPNOTSUPP, "extension function"):
                winsock.WSASendMsg(pair.client, WSAMSG(name, [b"data"], CONTROL))
            assert winsock.WSASendMsg(pair.client, WSAMSG(name, [b"data"])) == 4
            assert winsock.recv(pair.server, 100) == b"data"


@pytest.mark.parametrize(("layer", "named"), [(Sending, False), (SendingTo, True)])
def test_a_layer_sees_a_message_without_control_data(layer: type[Sending | SendingTo], named: bool) -> None:
    with World(through(layer)) as world:
        pair = world.datagrams()
        winsock.WSASendMsg(pair.client, WSAMSG(winsock.getsockname(pair.server) if named else None, [b"data"]))
        assert layer_of(pair.client).count == 1


def test_a_layer_may_have_a_function_of_its_own() -> None:
    with World(through(Watching)) as world:
        receiver, s = world.datagram(), world.datagram()
        assert winsock.WSASendMsg(s, WSAMSG(winsock.getsockname(receiver), [b"data"], CONTROL)) == 7
        data, source = winsock.recvfrom(receiver, 100)
        assert (data, getattr(source, "host", None)) == (b"watched", "127.0.0.2")
        assert layer_of(s).count == 1


def test_a_provider_whose_pointer_cannot_be_called() -> None:
    class Bare(Passing):
        def WSPIoctl(self, *args: Any, **kwargs: Any) -> bytes | None:
            return bytes(8)

    with World() as world:
        s = world.datagram()
        table = records[s].table.copy()
        table.WSPIoctl = Bare().WSPIoctl
        records[s].table = table
        with refused(WSAEOPNOTSUPP, "control data"):
            winsock.WSASendMsg(s, WSAMSG(world.anywhere, [b"x"], CONTROL))
