"""Hyper-V sockets: addresses, names, options, errors; transfer where this machine has a way to itself."""

from __future__ import annotations

import itertools
import os
import socket as host
import struct
import threading
from collections.abc import Iterator

import pytest

import winsock
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi import guids
from winsock.abi.errors import (
    WSAEADDRINUSE,
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAENETUNREACH,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAESOCKTNOSUPPORT,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import SockaddrHv, SockaddrIn, SockaddrOther, SockaddrUn, coerce, unpack
from winsock.base.hyperv.addresses import AF_VSOCK, from_kernel, machine, service, to_kernel
from winsock.supervisor import doctor

MACHINE = GUID.parse("{11111111-2222-3333-4444-555555555555}")
SERVICE = service(5000)


def has_vsock() -> bool:
    try:
        host.socket(AF_VSOCK, host.SOCK_STREAM).close()
    except OSError:
        return False
    return True


sockets = pytest.mark.skipif(not has_vsock(), reason="this kernel has no AF_VSOCK")
loopback = pytest.mark.skipif(doctor._errno_of(doctor._bind_vsock) != 0, reason="no vsock loopback: see winsock doctor")


class TestAddresses:
    """As values, as bytes, as text, as the kernel has them."""

    def test_the_bytes_are_those_of_sockaddr_hv(self) -> None:
        packed = SockaddrHv(MACHINE, SERVICE).pack()
        assert packed == struct.pack("<HH", 34, 0) + MACHINE.pack() + SERVICE.pack()
        assert len(packed) == 36
        assert unpack(packed) == SockaddrHv(MACHINE, SERVICE)
        with refused(WSAEFAULT):
            unpack(packed[:-1])

    def test_a_service_is_a_port_in_the_template(self) -> None:
        assert str(service(2761)) == "{00000ac9-facb-11e6-bd58-64006a7986d3}"

    @pytest.mark.parametrize(
        ("vm_id", "context"),
        [
            (guids.HV_GUID_ZERO, 0xFFFFFFFF),
            (guids.HV_GUID_WILDCARD, 0xFFFFFFFF),
            (guids.HV_GUID_CHILDREN, 0xFFFFFFFF),
            (guids.HV_GUID_LOOPBACK, 1),
            (guids.HV_GUID_PARENT, 2),
            (machine(77), 77),
            (machine(0xFFFFFFFE), 0xFFFFFFFE),
        ],
    )
    def test_a_machine_is_a_context(self, vm_id: GUID, context: int) -> None:
        there = to_kernel(SockaddrHv(vm_id, SERVICE))
        assert there == SockaddrOther(AF_VSOCK, struct.pack("=2xII4x", 5000, context))
        back = from_kernel(there)
        assert to_kernel(back) == there
        if vm_id != guids.HV_GUID_CHILDREN:
            assert back == SockaddrHv(vm_id, SERVICE)

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            (SockaddrHv(MACHINE, SERVICE), WSAEADDRNOTAVAIL),
            (SockaddrHv(guids.HV_GUID_LOOPBACK, MACHINE), WSAEADDRNOTAVAIL),
            (SockaddrHv(guids.HV_GUID_BROADCAST, SERVICE), WSAEADDRNOTAVAIL),
            (SockaddrHv(guids.HV_GUID_SILOHOST, SERVICE), WSAEADDRNOTAVAIL),
            (SockaddrIn("127.0.0.1", 9), WSAEAFNOSUPPORT),
            (SockaddrOther(AF_VSOCK, bytes(14)), WSAEAFNOSUPPORT),
            (SockaddrHv("text", SERVICE), WSAEFAULT),  # type: ignore[arg-type]
            (None, WSAEFAULT),
            ("text", WSAEFAULT),
        ],
    )
    def test_what_the_kernel_has_not(self, name: object, code: int) -> None:
        with refused(code):
            to_kernel(name)

    def test_what_is_no_address_of_the_kernel_stays(self) -> None:
        short = SockaddrOther(AF_VSOCK, b"")
        assert from_kernel(short) is short
        assert from_kernel(SockaddrUn("x")) == SockaddrUn("x")

    def test_tuples_are_addresses_too(self) -> None:
        wanted = SockaddrHv(MACHINE, SERVICE)
        assert coerce((str(MACHINE), str(SERVICE)), c.AF_HYPERV) == wanted
        assert coerce((MACHINE, SERVICE), c.AF_HYPERV) == wanted
        for value in ((MACHINE,), (MACHINE, "x"), (MACHINE, 7), "text", None):
            with refused(WSAEFAULT):
                coerce(value, c.AF_HYPERV)

    def test_as_text(self) -> None:
        with winsock.started():
            address = SockaddrHv(MACHINE, SERVICE)
            text = winsock.WSAAddressToString(address)
            assert text == f"{MACHINE}:{SERVICE}"
            assert winsock.WSAStringToAddress(text, c.AF_HYPERV) == address
            for wrong in ("", "text", str(MACHINE), f"{MACHINE}:", f"{text}:{MACHINE}"):
                with refused(WSAEINVAL):
                    winsock.WSAStringToAddress(wrong, c.AF_HYPERV)


@pytest.fixture
def s() -> Iterator[int]:
    with winsock.started():
        handle = winsock.socket(c.AF_HYPERV, c.SOCK_STREAM, c.HV_PROTOCOL_RAW)
        yield handle
        winsock.closesocket(handle)


ports = itertools.count(30000 + os.getpid() % 10000 * 3)


def place(vm_id: GUID = guids.HV_GUID_WILDCARD) -> SockaddrHv:
    return SockaddrHv(vm_id, service(next(ports)))


@sockets
class TestSockets:
    """What needs nobody else."""

    @pytest.mark.parametrize(
        ("type", "protocol", "code"),
        [
            (c.SOCK_DGRAM, c.HV_PROTOCOL_RAW, WSAESOCKTNOSUPPORT),
            (c.SOCK_RAW, c.HV_PROTOCOL_RAW, WSAESOCKTNOSUPPORT),
            (c.SOCK_STREAM, 77, WSAEPROTONOSUPPORT),
        ],
    )
    def test_there_are_only_streams(self, s: int, type: int, protocol: int, code: int) -> None:
        with refused(code):
            winsock.socket(c.AF_HYPERV, type, protocol)

    def test_the_descriptor_is_a_vsock(self, s: int) -> None:
        with host.socket(fileno=os.dup(s)) as found:
            assert (found.family, found.type) == (AF_VSOCK, host.SOCK_STREAM)
        info = winsock.getsockopt(s, c.SOL_SOCKET, c.SO_PROTOCOL_INFO)
        assert isinstance(info, WSAPROTOCOL_INFO)
        assert info.iAddressFamily == c.AF_HYPERV

    def test_a_service_is_bound(self, s: int) -> None:
        with refused(WSAEINVAL):
            winsock.getsockname(s)
        name = place()
        winsock.bind(s, name)
        assert winsock.getsockname(s) == name
        with refused(WSAEINVAL):
            winsock.bind(s, place())
        winsock.listen(s, 5)
        with refused(WSAEINVAL):
            winsock.connect(s, place(guids.HV_GUID_LOOPBACK))

    def test_a_service_is_bound_once(self, s: int) -> None:
        name = place()
        winsock.bind(s, name)
        other = winsock.socket(c.AF_HYPERV, c.SOCK_STREAM, c.HV_PROTOCOL_RAW)
        with refused(WSAEADDRINUSE):
            winsock.bind(other, name)
        winsock.closesocket(other)

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            (SockaddrHv(MACHINE, SERVICE), WSAEADDRNOTAVAIL),
            (SockaddrHv(machine(77), SERVICE), WSAEADDRNOTAVAIL),
            (SockaddrHv(guids.HV_GUID_WILDCARD, MACHINE), WSAEADDRNOTAVAIL),
            (SockaddrIn("127.0.0.1", 9), WSAEAFNOSUPPORT),
            (("127.0.0.1", 9), WSAEFAULT),
            (None, WSAEFAULT),
        ],
    )
    def test_names_that_cannot_be_bound(self, s: int, name: object, code: int) -> None:
        with refused(code):
            winsock.bind(s, name)  # type: ignore[arg-type]

    def test_listening_needs_a_service(self, s: int) -> None:
        with refused(WSAEINVAL):
            winsock.listen(s, 5)

    def test_there_is_no_peer(self, s: int) -> None:
        for call in (
            lambda: winsock.getpeername(s),
            lambda: winsock.send(s, b"x"),
            lambda: winsock.shutdown(s, c.SD_SEND),
        ):
            with refused(WSAENOTCONN):
                call()
        with refused(WSAEINVAL):  # it is not even bound
            winsock.recv(s, 1)
        with refused(WSAEINVAL):
            winsock.accept(s)

    def test_a_machine_that_is_not_there(self, s: int) -> None:
        winsock.setsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONNECT_TIMEOUT, 50)
        with pytest.raises(WinsockError) as caught:
            winsock.connect(s, SockaddrHv(machine(0x7FFFFFFF), SERVICE))
        assert caught.value.winerror in (WSAENETUNREACH, WSAETIMEDOUT, WSAECONNREFUSED, WSAECONNRESET)

    def test_nobody_accepts_so_nothing_comes(self, s: int) -> None:
        winsock.bind(s, place())
        winsock.listen(s, 5)
        winsock.ioctlsocket(s, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            winsock.accept(s)

    def test_what_internet_sockets_have_and_these_have_not(self, s: int) -> None:
        with refused(WSAENOPROTOOPT):
            winsock.getsockopt(s, c.IPPROTO_TCP, c.TCP_NODELAY)
        with refused(WSAENOPROTOOPT):
            winsock.getsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONTAINER_PASSTHRU)
        with refused(WSAEOPNOTSUPP):
            winsock.WSAIoctl(s, c.SIO_KEEPALIVE_VALS, bytes(12))
        with refused(WSAEINVAL):
            winsock.WSAJoinLeaf(s, place(), None, None, None, None, c.JL_BOTH)

    def test_the_time_for_connecting(self, s: int) -> None:
        assert winsock.getsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONNECT_TIMEOUT) == 2000
        winsock.setsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONNECT_TIMEOUT, 1500)
        assert winsock.getsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONNECT_TIMEOUT) == 1500
        winsock.setsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONNECT_TIMEOUT, c.HVSOCKET_CONNECT_TIMEOUT_MAX)
        for wrong in (0, -1, c.HVSOCKET_CONNECT_TIMEOUT_MAX + 1):
            with refused(WSAEINVAL):
                winsock.setsockopt(s, c.HV_PROTOCOL_RAW, c.HVSOCKET_CONNECT_TIMEOUT, wrong)

    def test_a_socket_of_the_internet_is_none_of_these(self, s: int) -> None:
        other = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        with refused(WSAEAFNOSUPPORT):
            winsock.connect(other, place())
        winsock.closesocket(other)
        with refused(WSAENOTSOCK):
            winsock.bind(other, place())


@loopback
class TestTransfer:
    """Over the loopback of vsock."""

    def test_bytes_there_and_back(self, s: int) -> None:
        name = place()
        winsock.bind(s, name)
        winsock.listen(s, 5)
        client = winsock.socket(c.AF_HYPERV, c.SOCK_STREAM, c.HV_PROTOCOL_RAW)
        there = SockaddrHv(guids.HV_GUID_LOOPBACK, name.service_id)
        winsock.connect(client, there)
        server, peer = winsock.accept(s)
        assert winsock.getpeername(client) == there
        assert peer == winsock.getsockname(client) == winsock.getpeername(server)
        assert isinstance(peer, SockaddrHv)
        with refused(WSAEISCONN):
            winsock.connect(client, there)
        winsock.send(client, b"there")
        assert winsock.recv(server, 100) == b"there"
        winsock.send(server, b"and back")
        assert winsock.recv(client, 100) == b"and back"
        winsock.shutdown(client, c.SD_SEND)
        assert winsock.recv(server, 100) == b""
        winsock.closesocket(server)
        winsock.closesocket(client)

    def test_much(self, s: int) -> None:
        name = place()
        winsock.bind(s, name)
        winsock.listen(s, 5)
        client = winsock.socket(c.AF_HYPERV, c.SOCK_STREAM, c.HV_PROTOCOL_RAW)
        winsock.connect(client, SockaddrHv(guids.HV_GUID_LOOPBACK, name.service_id))
        server, _ = winsock.accept(s)
        sent = bytes(range(256)) * 8192
        sender = threading.Thread(target=winsock.send, args=(client, sent), daemon=True)
        sender.start()
        found = b""
        while len(found) < len(sent):
            found += winsock.recv(server, 65536)
        sender.join()
        assert found == sent
        winsock.closesocket(client)
        winsock.closesocket(server)

    def test_nobody_listens(self, s: int) -> None:
        with refused(WSAECONNREFUSED):
            winsock.connect(s, place(guids.HV_GUID_LOOPBACK))
