"""Which chain serves a socket of the host."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tests.refusals import refused
from tests.supervisor.notices.diag_messages import cookie_of
from winsock.abi.constants import WINSOCK_VERSION
from winsock.abi.errors import WSAEPROVIDERFAILEDINIT
from winsock.catalog.entries import Catalog, LayerSpec
from winsock.dispatcher import handles, process
from winsock.spi.layer import Layer
from winsock.supervisor.kinds import Chains, name_of
from winsock.supervisor.lease import Kind

TCP, UDP = Kind(socket.AF_INET, socket.SOCK_STREAM, 6), Kind(socket.AF_INET, socket.SOCK_DGRAM, 17)
TCP6, UDP6 = Kind(socket.AF_INET6, socket.SOCK_STREAM, 6), Kind(socket.AF_INET6, socket.SOCK_DGRAM, 17)


class Notes(Layer):
    """Knows what it adopted."""

    def __init__(self) -> None:
        self.handles: list[int] = []

    def adopted(self, handle: int) -> None:
        self.handles.append(handle)


class Breaks(Layer):
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("not today")


def spec(layer: type) -> LayerSpec:
    return LayerSpec(layer.__name__.lower(), f"{layer.__module__}:{layer.__qualname__}")


def opened(*layers: type) -> Chains:
    catalog = Catalog().with_layers([spec(layer) for layer in layers])
    process.startup(WINSOCK_VERSION, catalog)
    return Chains(catalog)


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    while process.is_started():
        process.cleanup()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind(socket.AF_INET, socket.SOCK_DGRAM, 0), "udp"),
        (Kind(socket.AF_INET6, socket.SOCK_DGRAM, 17), "udp"),
        (Kind(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP), "datagram of protocol 1"),
        (Kind(socket.AF_INET, socket.SOCK_RAW, 255), "raw"),
        (Kind(socket.AF_INET, socket.SOCK_STREAM, 132), "sctp"),
        (Kind(socket.AF_INET, socket.SOCK_STREAM, 200), "stream of protocol 200"),
        (Kind(socket.AF_INET, socket.SOCK_SEQPACKET, 132), "socket type 5"),
        (Kind(40, socket.SOCK_STREAM, 0), "address family 40"),
    ],
)
def test_what_passes_has_a_name(kind: Kind, name: str) -> None:
    assert name_of(kind) == name


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TCP, "MSAFD Tcpip [TCP/IP]"),
        (TCP._replace(protocol=0), "MSAFD Tcpip [TCP/IP]"),
        (UDP, "MSAFD Tcpip [UDP/IP]"),
        (TCP6, "MSAFD Tcpip [TCP/IPv6]"),
        (UDP6, "MSAFD Tcpip [UDP/IPv6]"),
    ],
)
def test_inet_kinds_have_their_entries(kind: Kind, name: str) -> None:
    entry = Chains(Catalog()).entry_for(kind)
    assert entry is not None
    assert entry.info.szProtocol == name


@pytest.mark.parametrize(
    "kind",
    [
        Kind(socket.AF_UNIX, socket.SOCK_STREAM, 0),
        Kind(socket.AF_NETLINK, socket.SOCK_RAW, 0),
        Kind(23, socket.SOCK_STREAM, 6),  # AF_INET6 of Windows, AF_IRDA of Linux
        Kind(socket.AF_INET, socket.SOCK_RAW, 1),
        Kind(socket.AF_INET, socket.SOCK_STREAM, 262),
        Kind(socket.AF_INET, socket.SOCK_STREAM, 17),
    ],
)
def test_other_kinds_have_none(kind: Kind) -> None:
    chains = Chains(Catalog())
    assert chains.entry_for(kind) is None
    assert chains.adopt(0, kind, 0) is None
    assert chains.layers() == []


def test_a_socket_of_the_program_is_put_under_its_chain() -> None:
    chains = opened(Notes)
    with socket.socket() as held:
        record = chains.adopt(held.fileno(), TCP, cookie_of(held))
        assert record is not None
        assert repr(record.chain) == "notes > tcp/ipv4"
        assert (record.handle, record.adopted, record.is_current()) == (held.fileno(), True, False)
        (layer,) = chains.layers()
        assert isinstance(layer, Notes)
        assert layer.handles == [held.fileno()]
        handles.release(held.fileno())


def test_a_chain_is_opened_once_for_a_kind() -> None:
    chains = opened(Notes)
    with socket.socket() as first, socket.socket() as second, socket.socket(socket.AF_INET6) as third:
        records = [
            chains.adopt(held.fileno(), kind, cookie_of(held))
            for held, kind in ((first, TCP), (second, TCP), (second, TCP._replace(protocol=0)), (third, TCP6))
        ]
        one, same, protocol_zero, other = (record.chain for record in records if record is not None)
        assert one is same is protocol_zero is not other
        assert len(chains.layers()) == 2
        for held in (first, second, third):
            handles.release(held.fileno())


def test_a_layer_that_cannot_be_made_fails_each_call_anew() -> None:
    chains = opened(Breaks)
    with socket.socket() as held:
        for _ in range(2):
            with refused(WSAEPROVIDERFAILEDINIT, "not today"):
                chains.adopt(held.fileno(), TCP, cookie_of(held))
    assert chains.layers() == []


def test_the_usual_chains_are_opened_before_the_first_socket() -> None:
    chains = opened(Notes)
    chains.open_all()
    layers = chains.layers()
    assert len(layers) == 4
    with socket.socket() as held:
        record = chains.adopt(held.fileno(), TCP, cookie_of(held))
        assert record is not None
        assert record.chain.layers[0] in layers
        handles.release(held.fileno())
    assert chains.layers() == layers


def test_a_layer_that_cannot_be_made_says_so_then() -> None:
    with refused(WSAEPROVIDERFAILEDINIT, "not today"):
        opened(Breaks).open_all()


def test_a_chain_that_sees_no_handles_has_one_entrance_and_associates_nothing() -> None:
    chains = opened(Notes)
    with socket.socket() as held:
        record = chains.enter(held.fileno(), TCP, cookie_of(held))
        assert record is not None
        assert record.table is record.chain.table
        assert chains.enter(1000, TCP, 77) is record
        assert chains.enter(1000, TCP6, 77) is not record
        assert handles.release(held.fileno()) is None
    assert chains.enter(0, Kind(socket.AF_UNIX, socket.SOCK_STREAM, 0), 0) is None
    assert all(isinstance(layer, Notes) and layer.handles == [] for layer in chains.layers())


@pytest.mark.parametrize("kind", [TCP, UDP, TCP6, UDP6])
def test_a_socket_is_made_through_the_chain_and_is_a_plain_one(kind: Kind) -> None:
    chains = opened(Notes)
    handle, record = chains.create(kind)
    try:
        assert (record.handle, record.adopted) == (handle, False)
        with socket.socket(fileno=os.dup(handle)) as made:
            assert tuple(kind) == (made.family, made.type, made.proto)
            assert os.get_blocking(handle)
            if kind.domain == socket.AF_INET6:
                with open("/proc/sys/net/ipv6/bindv6only", encoding="ascii") as file:
                    assert made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == int(file.read())
    finally:
        handles.close(handle)


def test_a_socket_that_the_program_is_given_binds_as_its_kernel_has_it() -> None:
    """Without the habits of Windows: a port in use is in use, one that was is not free at once."""
    chains = opened(Notes)
    with socket.create_server(("127.0.0.1", 0), reuse_port=False) as server:
        handle, record = chains.create(TCP)
        try:
            plain = socket.socket(fileno=os.dup(handle))
            with plain:
                assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
                assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
                with pytest.raises(OSError, match="in use"):
                    plain.bind(server.getsockname())
        finally:
            record.table.WSPCloseSocket(handle)
            handles.release(handle)
