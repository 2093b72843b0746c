"""What crosses to the outer socket: options, a bound name; and when nothing can."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from winsock.abi.errors import WinsockError
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.base.inet import raw
from winsock.supervisor.lease import Options
from winsock.supervisor.relaying import carried, outer

ON = struct.pack("i", 1)


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def two(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A program's socket, and one to go in its place."""
    with socket.socket(request.param) as program, socket.socket(request.param) as ours:
        yield program, ours


def loopback(made: socket.socket) -> str:
    return "127.0.0.1" if made.family == socket.AF_INET else "::1"


def test_options_are_set_again(two: tuple[socket.socket, socket.socket]) -> None:
    program, ours = two
    outer.resemble(ours.fileno(), program.fileno(), {(6, 4): struct.pack("i", 77), (1, 9): ON}, None)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_what_an_outer_socket_does_not_take_it_goes_without(two: tuple[socket.socket, socket.socket]) -> None:
    program, ours = two
    outer.resemble(ours.fileno(), program.fileno(), {(6, 13): b"no such algorithm", (1, 9): ON}, None)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@pytest.mark.parametrize("reuses", [0, 1])
def test_a_bound_name_is_shared_and_the_options_put_back(two: tuple[socket.socket, socket.socket], reuses: int) -> None:
    program, ours = two
    program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuses)
    program.bind((loopback(program), 0))
    outer.resemble(ours.fileno(), program.fileno(), {}, outer.bound_name(program.fileno()))
    assert ours.getsockname() == program.getsockname()
    assert [made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) for made in two] == [reuses, 0]


def test_an_address_without_a_port_is_carried(two: tuple[socket.socket, socket.socket]) -> None:
    program, ours = two
    program.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    program.bind((loopback(program), 0))
    assert program.getsockname()[1] == 0
    outer.resemble(ours.fileno(), program.fileno(), {}, outer.bound_name(program.fileno()))
    assert ours.getsockname()[:2] == (loopback(program), 0)


def test_a_name_that_cannot_be_had_twice_is_refused() -> None:
    with (
        socket.socket() as program,
        socket.socket() as ours,
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(WinsockError) as raised,
    ):
        outer.resemble(ours.fileno(), program.fileno(), {}, SockaddrIn(*taken.getsockname()))
    assert raised.value.errno == errno.EADDRINUSE


def test_an_ipv6_socket_takes_ipv4_if_the_programs_does() -> None:
    with socket.socket(socket.AF_INET6) as program, socket.socket(socket.AF_INET6) as ours:
        for only in (1, 0):
            program.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            outer.resemble(ours.fileno(), program.fileno(), {}, None)
            assert ours.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == only


def test_the_name_of_what_is_not_bound_is_none(two: tuple[socket.socket, socket.socket]) -> None:
    program, _ = two
    assert outer.bound_name(program.fileno()) is None
    program.bind(("", 0))
    name = outer.bound_name(program.fileno())
    assert isinstance(name, (SockaddrIn, SockaddrIn6))
    assert name.port == program.getsockname()[1]


def test_a_prepared_socket_does_not_wait_and_resets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
        outer.prepare(ours.fileno())
        assert not os.get_blocking(ours.fileno())
        assert raw.connect(ours.fileno(), SockaddrIn(*server.getsockname())) == errno.EINPROGRESS
        with server.accept()[0] as peer:
            ours.close()
            with pytest.raises(ConnectionResetError):
                peer.recv(1)


def test_what_cannot_be_relayed_is_told(two: tuple[socket.socket, socket.socket]) -> None:
    program, _ = two
    here = outer.Surroundings(Options())
    assert here.obstacle(program.fileno()) is None
    program.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
    assert here.obstacle(program.fileno()) == "bound to an address of another host"
    program.setsockopt(socket.IPPROTO_IP, 15, 0)
    program.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    assert here.obstacle(program.fileno()) == "bound to a device"


# --- accepted sockets -------------------------------------------------------------------------------------------------


def test_an_accepted_one_inherits(two: tuple[socket.socket, socket.socket]) -> None:
    listening, ours = two
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 9, 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    carried.inherit(listening.fileno(), ours.fileno())
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 3)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == struct.pack("ll", 9, 0)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_what_is_carried_is_named_once_and_has_the_hosts_numbers() -> None:
    assert len(set(carried.SET)) == len(carried.SET)
    assert {(1, 9), (6, 4), (0, 1), (1, 36)} <= set(carried.SET)  # keep-alive, its time, TOS, a mark
    assert not {(1, 13), (1, 10), (6, 1)} & set(carried.SET)  # linger, urgent data and delays are the relay's own
    assert carried.GET == ((1, 4), (6, 2), (0, 14), (41, 24))
