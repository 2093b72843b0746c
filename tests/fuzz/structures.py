"""Structures in Windows' layouts and in the kernel's: addresses, catalog entries, option values, lists, filters."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import struct
from random import Random
from typing import Any

from tests.fuzz.parser import Parser, Refused
from winsock.abi import address_lists, guids, protocol_info, sockaddr, structures
from winsock.abi.constants import AF_HYPERV, AF_INET, AF_INET6, AF_UNIX, UNIX_PATH_MAX
from winsock.abi.errors import WSAEFAULT, WSAEINVAL
from winsock.abi.guids import GUID
from winsock.abi.message import WSA_CMSG_SPACE, WSACMSGHDR, pack_control, unpack_control
from winsock.abi.options import Linger
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.abi.sockaddr import Sockaddr, SockaddrHv, SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.base.hyperv import addresses as hyperv
from winsock.base.inet import addresses, multicast, tcp_info
from winsock.base.inet.option_values import CODECS, is_index
from winsock.catalog.entries import BUILTIN
from winsock.core.option_numbers import linger, number
from winsock.supervisor.calls.call import decode_address

FAULT = frozenset({WSAEFAULT})
_SIZES = {AF_INET: 16, AF_INET6: 28, AF_HYPERV: 36}
_HOST_AF_INET6 = int(socket.AF_INET6)

_GUID = GUID(0xE70F1AA0, 0xAB8B, 0x11CF, bytes.fromhex("8ca300805f48a192"))
_ADDRESSES: tuple[Sockaddr, ...] = (
    SockaddrIn("127.0.0.1", 80),
    SockaddrIn("255.255.255.255", 65535),
    SockaddrIn6("::1", 443),
    SockaddrIn6("fe80::1", 1, 0x12345, 7),
    SockaddrIn6("::ffff:1.2.3.4", 5),
    SockaddrUn("/run/socket"),
    SockaddrUn("x" * 108),
    SockaddrUn(b"\0abstract\0name"),
    SockaddrHv(_GUID, hyperv.service(1024)),
    SockaddrOther(6, b"anything"),
)


# Addresses.


def _holds_address(data: bytes, found: Any) -> None:
    """Against the documented structures, read by ctypes."""
    family = int.from_bytes(data[:2], "little")
    if isinstance(found, Refused):
        assert _is_no_address(data, family)
        return
    assert found.family == family
    if isinstance(found, SockaddrIn):
        view = structures.sockaddr_in.from_buffer_copy(data)
        assert found == (str(ipaddress.IPv4Address(bytes(view.sin_addr))), socket.ntohs(view.sin_port))
    elif isinstance(found, SockaddrIn6):
        six = structures.sockaddr_in6.from_buffer_copy(data)
        assert ipaddress.IPv6Address(found.host).packed == bytes(six.sin6_addr)
        rest = socket.ntohs(six.sin6_port), socket.ntohl(six.sin6_flowinfo), six.sin6_scope_id
        assert found[1:] == rest
    elif isinstance(found, SockaddrHv):
        assert (found.vm_id.pack(), found.service_id.pack()) == (data[4:20], data[20:36])
    elif isinstance(found, SockaddrOther):
        assert family not in (AF_INET, AF_INET6, AF_UNIX, AF_HYPERV)
        assert found.data == data[2:]
    else:
        _holds_path(data[2:], found)
    str(found)
    assert sockaddr.unpack(found.pack()) == found


def _is_no_address(data: bytes, family: int) -> bool:
    """Too short for its family, or a path that is too long."""
    name = data[2:]
    end = len(name) if name[:1] == b"\0" and any(name) else name.find(b"\0") % (len(name) + 1)
    return len(data) < _SIZES.get(family, 2) or (family == AF_UNIX and end > UNIX_PATH_MAX)


def _holds_path(name: bytes, found: SockaddrUn) -> None:
    """A path ends at its zero; an abstract name is all there is."""
    path = os.fsencode(found.path)
    assert path == (name if name[:1] == b"\0" and any(name) else name.partition(b"\0")[0])


def _holds_host_address(data: bytes, found: Any) -> None:
    family = int.from_bytes(data[:2], "little")
    if isinstance(found, Refused):
        assert _is_no_address(data, AF_INET6 if family == _HOST_AF_INET6 else family)
        return
    if len(data) < 2:
        assert found == SockaddrOther(0, b"")
        return
    if family == AF_INET6:  # Windows' number is the host's of nothing that we know
        return
    assert addresses.host_family(found.family) == family or found.family == AF_HYPERV
    if isinstance(found, (SockaddrIn, SockaddrIn6)):
        size = 8 if isinstance(found, SockaddrIn) else 28
        assert addresses.pack(found)[:size] == data[:size]
        assert addresses.unpack(addresses.pack(found)) == found


def _as_host(address: Sockaddr) -> bytes:
    return addresses.pack(address)


def _decode(data: bytes) -> Sockaddr | None:
    return decode_address(data, _HOST_AF_INET6, takes_ipv4=True)


def _holds_decoded(data: bytes, found: Any) -> None:
    family = int.from_bytes(data[:2], "little")
    least = {0: 2, AF_INET: 16, _HOST_AF_INET6: 24}
    assert (found is not None) == (family in least and len(data) >= least[family])
    if isinstance(found, SockaddrIn6):
        assert addresses.pack(found) == data[:28].ljust(28, b"\0")


def _machine(data: bytes) -> Sockaddr:
    return hyperv.from_kernel(SockaddrOther(hyperv.AF_VSOCK, data))


def _holds_machine(data: bytes, found: Any) -> None:
    if len(data) < 14:
        assert isinstance(found, SockaddrOther)
        return
    port, context = struct.unpack_from("=II", data, 2)
    assert found.service_id.Data1 == port
    assert struct.unpack_from("=II", hyperv.to_kernel(found).data, 2) == (port, context)


def _address_list(data: bytes) -> list[Sockaddr]:
    return address_lists.unpack(data)


def _holds_list(data: bytes, found: Any) -> None:
    if isinstance(found, Refused):
        return
    assert len(found) == int.from_bytes(data[:4], "little")
    for index, address in enumerate(found):
        at, size = struct.unpack_from("<Qi", data, 8 + 16 * index)
        _holds_address(data[at : at + size], address)
    assert address_lists.unpack(address_lists.pack(found)) == found


# Catalog entries.


def _holds_entry(data: bytes, found: Any) -> None:
    if len(data) < protocol_info.SIZE:
        assert isinstance(found, Refused)
        return
    view = structures.WSAPROTOCOL_INFOW.from_buffer_copy(data)
    if isinstance(found, Refused):
        assert not 0 <= view.ProtocolChain.ChainLen <= 7
        return
    for field in WSAPROTOCOL_INFO._fields:
        if field not in ("ProviderId", "ProtocolChain", "szProtocol"):
            assert getattr(found, field) == getattr(view, field), field
    assert found.ProviderId.pack() == bytes(view.ProviderId)
    length, entries = found.ProtocolChain
    assert length == view.ProtocolChain.ChainLen
    assert (*entries, *(0,) * (length - len(entries))) == tuple(view.ProtocolChain.ChainEntries)[:length]
    packed = found.pack()
    assert packed[:40] == data[:40]
    assert WSAPROTOCOL_INFO.unpack(packed) == found


def _holds_guid(data: bytes, found: Any) -> None:
    assert isinstance(found, Refused) == (len(data) < 16)
    if not isinstance(found, Refused):
        assert found.pack() == data[:16]
        assert GUID.parse(str(found)) == found


_ENTRIES = [entry.info.pack() for entry in BUILTIN] + [
    WSAPROTOCOL_INFO(ProtocolChain=WSAPROTOCOLCHAIN(3, (7, 9, 1001)), szProtocol="a over b").pack(),
    WSAPROTOCOL_INFO(ProtocolChain=WSAPROTOCOLCHAIN(0), szProtocol="é" * 255, dwCatalogEntryId=0xFFFFFFFF).pack(),
]


# Options.


def _encoders() -> list[Parser]:
    def parser(kind: str) -> Parser:
        codec = CODECS[kind]

        def holds(data: bytes, found: Any) -> None:
            if isinstance(found, Refused):
                return
            codec.decode(found)
            if kind == "ip_options":  # of any length up to that
                assert found == data
                return
            group, interface = data[: codec.size - 4], data[codec.size - 4 : codec.size]
            if kind in ("in_addr", "ip_mreq") and is_index(interface):  # the kernel's ip_mreqn
                assert found == group.rjust(4, b"\0") + bytes(4) + struct.pack("=i", int.from_bytes(interface, "big"))
            else:
                assert len(found) == codec.size

        valid = [one.ljust(codec.size, b"\0") for one in (b"", b"\1", b"\1\0\5\0")]
        return Parser(f"value of type {kind}", valid, codec.encode, frozenset({WSAEFAULT, WSAEINVAL}), holds)

    return [parser(kind) for kind in CODECS]


def _holds_number(data: bytes, found: Any) -> None:
    assert isinstance(found, Refused) == (not data)
    if data:
        assert found == int.from_bytes(data[:4], "little")


def _holds_linger(data: bytes, found: Any) -> None:
    assert isinstance(found, Refused) == (len(data) < 4)
    if len(data) >= 4:
        assert found == Linger(*struct.unpack_from("<HH", data))


def _filter(layout: multicast._Filter) -> Parser:
    valid = [
        bytes(layout.count_at) + struct.pack("<I", count) + bytes(layout.size - layout.count_at - 4) + b"s" * size
        for count, size in ((0, 0), (2, 2 * layout.source_size))
    ]

    def read(data: bytes) -> list[bytes]:
        return layout.sources(data.ljust(layout.size, b"\0"))

    def holds(data: bytes, found: Any) -> None:
        count = int.from_bytes(data.ljust(layout.size, b"\0")[layout.count_at :][:4], "little")
        assert isinstance(found, Refused) or b"".join(found) == data[layout.size :][: count * layout.source_size]
        assert isinstance(found, Refused) == (max(len(data), layout.size) < layout.size + count * layout.source_size)

    return Parser(f"filter of {layout.size} bytes", valid, read, FAULT, holds)


def _holds_tcp_info(data: bytes, found: Any) -> None:
    view = structures.TCP_INFO_v0.from_buffer_copy(found)
    assert ctypes.sizeof(view) == len(found)
    padded = data.ljust(232, b"\0")
    assert view.Mss == int.from_bytes(padded[16:20], "little")
    assert view.BytesOut == int.from_bytes(padded[200:208], "little")


def _holds_control(data: bytes, found: Any) -> None:
    """Each object ends where its length says, and what is taken apart is the same when it is made anew."""
    if isinstance(found, Refused):
        lengths = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 15, 8)]
        assert any(not 16 <= length <= len(data) for length in lengths) or len(data) > 16
        return
    assert unpack_control(pack_control(*found)) == found
    assert sum(WSA_CMSG_SPACE(len(item.data)) for item in found) <= -(-len(data) // 8) * 8
    assert all(item.data in data for item in found)


_CONTROL = [
    b"",
    pack_control(WSACMSGHDR(0, 19, bytes(8))),
    pack_control(WSACMSGHDR(41, 39, b"\1\2\3\4"), WSACMSGHDR(17, 2, b""), WSACMSGHDR(0, 50, b"123")),
]
_TCP_INFO = [bytes(248), b"\1" + Random(1).randbytes(247), b"\1" + b"\0\1\0\0" * 61]

PARSERS = [
    Parser("address", [one.pack() for one in _ADDRESSES], sockaddr.unpack, FAULT, _holds_address),
    Parser("host's address", [_as_host(one) for one in _ADDRESSES], addresses.unpack, FAULT, _holds_host_address),
    Parser("program's address", [_as_host(one) for one in _ADDRESSES], _decode, frozenset(), _holds_decoded),
    Parser(
        "address of vsock", [struct.pack("=2xII4x", 1024, n) for n in (1, 2, 3)], _machine, frozenset(), _holds_machine
    ),
    Parser("address list", [address_lists.pack(_ADDRESSES), address_lists.pack([])], _address_list, FAULT, _holds_list),
    Parser("WSAPROTOCOL_INFO", _ENTRIES, WSAPROTOCOL_INFO.unpack, ValueError, _holds_entry),
    Parser("GUID", [_GUID.pack(), guids.GUID_NULL.pack()], GUID.unpack, ValueError, _holds_guid),
    Parser("control data", _CONTROL, unpack_control, frozenset({WSAEINVAL}), _holds_control),
    Parser("number", [b"\1", b"\1\0\0\0", b"\xff" * 8], number, FAULT, _holds_number),
    Parser("linger", [b"\1\0\5\0", bytes(4), bytes(8)], linger, FAULT, _holds_linger),
    Parser("tcp_info", _TCP_INFO, lambda data: tcp_info.translate(data, 4096, None), frozenset(), _holds_tcp_info),
    _filter(multicast._IP),
    _filter(multicast._GROUP),
    *_encoders(),
]
