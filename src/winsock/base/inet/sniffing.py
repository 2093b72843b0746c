"""SIO_RCVALL and its kin: a raw socket that receives all packets which pass an interface.

No raw socket of this kernel does that, but a packet socket does. So the handle's number gets one for the time being,
and the raw socket waits behind it and sends: whoever waits for the handle, reads it or sets a time-out deals with
the packets. The names of the socket are remembered; options of IP answer WSAENOPROTOOPT until it is over.

A packet comes from the kernel with its header, which raw sockets of IPv6 do not show: it is taken off.

Source: sio-rcvall.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import AF_INET, AF_INET6, RCVALL_IPLEVEL, RCVALL_OFF, RCVALL_ON, RCVALL_SOCKETLEVELONLY
from winsock.abi.errors import WSAEINVAL, WSAENOPROTOOPT, WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import interfaces, raw
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.inet.packets import Packets

_MODES = (RCVALL_OFF, RCVALL_ON, RCVALL_SOCKETLEVELONLY, RCVALL_IPLEVEL)
_ETHERTYPES = {AF_INET: 0x0800, AF_INET6: 0x86DD}
_SOL_PACKET, _ADD_MEMBERSHIP, _IGNORE_OUTGOING, _PROMISCUOUS = 263, 1, 23, 1
_SO_ATTACH_FILTER = 26
_LARGEST = 65536

# Classic BPF: the header begins at 0. load byte, and, jump if equal, return
_LOAD, _AND, _JUMP, _RETURN = 0x30, 0x54, 0x15, 0x06
PASS, DROP = (_RETURN, 0, 0, 0xFFFFFFFF), (_RETURN, 0, 0, 0)
_TO_GROUPS = ((_LOAD, 0, 0, 16), (_AND, 0, 0, 0xF0), (_JUMP, 0, 1, 0xE0), PASS, DROP)
_IGMP_TO_GROUPS = ((_LOAD, 0, 0, 9), (_JUMP, 0, 4, socket.IPPROTO_IGMP), *_TO_GROUPS)
Filter = tuple[tuple[int, int, int, int], ...]

_EXTENSIONS = (0, 43, 60)
"""Headers of IPv6 that may follow the first: hop-by-hop, routing, destination."""


class Sniffer:
    """What stands behind a handle that receives everything; it ends with the socket."""

    def __init__(self, kept: int, name: SockaddrIn | SockaddrIn6) -> None:
        self.kept = kept
        """The raw socket."""
        self.name = name

    def end(self) -> None:
        """The socket is closed."""
        os.close(self.kept)


def receive_all(provider: Packets, s: int, data: bytes) -> bytes:
    """SIO_RCVALL: everything of the socket's family, or what is the socket's own once more."""
    return _change(provider, s, data, ())


def receive_multicast(provider: Packets, s: int, data: bytes) -> bytes:
    """SIO_RCVALL_MCAST: everything that is sent to groups of IPv4."""
    return _change(provider, s, data, _TO_GROUPS, socket.IPPROTO_UDP)


def receive_igmp(provider: Packets, s: int, data: bytes) -> bytes:
    """SIO_RCVALL_IGMPMCAST: IGMP that is sent to groups."""
    return _change(provider, s, data, _IGMP_TO_GROUPS, socket.IPPROTO_IGMP)


def _change(provider: Packets, s: int, data: bytes, only: Filter, protocol: int | None = None) -> bytes:
    mode = int.from_bytes(data[:4], "little") if data else -1
    if mode not in _MODES:
        raise WinsockError(WSAEINVAL, f"in_buffer: {data!r} holds no RCVALL_ value")
    record = SOCKETS[s]
    if protocol is not None and (provider.info.iAddressFamily, record.raw_protocol) != (AF_INET, protocol):
        raise WinsockError(WSAENOPROTOOPT, f"s: the code is for raw sockets of IPv4 and protocol {protocol}")
    wanted = mode in (RCVALL_ON, RCVALL_IPLEVEL)
    if wanted and record.sniffer is None:
        _begin(provider, record, only, promiscuous=mode == RCVALL_ON)
    elif mode == RCVALL_OFF and record.sniffer is not None:
        _stop(provider, record, record.sniffer)
    return b""


def _begin(provider: Packets, record: OwnSocket, only: Filter, *, promiscuous: bool) -> None:
    name = raw.getsockname(record.handle)
    assert isinstance(name, (SockaddrIn, SockaddrIn6))
    if not record.bound or name.host in ("0.0.0.0", "::"):
        raise WinsockError(WSAEINVAL, "s: the socket must be bound to an address of one interface")
    found = interfaces.of_host(name.host, provider.info.iAddressFamily)
    if found is None:
        raise WinsockError(WSAEINVAL, f"s: no interface has the address {name.host}")
    sniffer = Sniffer(os.dup(record.handle), name._replace(port=0))
    try:
        with _packets_of(found, provider.info.iAddressFamily, only, promiscuous=promiscuous) as packets:
            packets.setblocking(record.blocking)
            _carry_time_out(record.handle, packets.fileno())
            provider.exchange(record, packets.fileno())
    except BaseException:
        sniffer.end()
        raise
    record.sniffer = sniffer
    record.hold(sniffer)


def _stop(provider: Packets, record: OwnSocket, sniffer: Sniffer) -> None:
    os.set_blocking(sniffer.kept, record.blocking)
    _carry_time_out(record.handle, sniffer.kept)
    provider.exchange(record, sniffer.kept)
    record.sniffer = None
    record.drop(sniffer)
    sniffer.end()


def _packets_of(found: interfaces.Interface, family: int, only: Filter, *, promiscuous: bool) -> socket.socket:
    """A packet socket for one interface, which sees each packet once."""
    ethertype = _ETHERTYPES[family]
    try:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
    except OSError as error:
        raise from_errno(error.errno or 0, f"no packets can be received: {error.strerror}") from None
    try:
        if found.is_loopback:  # where everything that leaves comes in again
            made.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        if only:
            attach_filter(made.fileno(), only)
        made.bind((found.name, ethertype))
        if promiscuous:
            request = struct.pack("iHH8s", found.number, _PROMISCUOUS, 0, bytes(8))
            made.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)
    except OSError as error:
        made.close()
        raise from_errno(error.errno or 0, f"s: packets of {found.name} cannot be received") from None
    return made


def attach_filter(descriptor: int, only: Filter) -> None:
    """Let a socket receive what a filter lets through."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in only))
    program = struct.pack("HP", len(only), ctypes.addressof(code))
    raw.setsockopt(descriptor, socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _carry_time_out(before: int, after: int) -> None:
    value = raw.getsockopt(before, socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
    raw.setsockopt(after, socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


def receive(
    record: OwnSocket,
    buffers: Sequence[WriteBuffer],
    host_flags: int,
    receive_own: Callable[..., tuple[int, int, object]],
) -> tuple[int, int, Sockaddr]:
    """One packet into the buffers: (its length, what of the kernel's flags there is, its source)."""
    scratch = bytearray(_LARGEST)
    count, _, _ = receive_own(record, (scratch,), host_flags)
    packet = memoryview(scratch)[:count]
    source, shown = _READERS[record.info.iAddressFamily](packet)
    left = shown
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        part = left[: len(view)]
        view[: len(part)] = part
        left = left[len(part) :]
    return len(shown) - len(left), int(socket.MSG_TRUNC) if left else 0, source


def _read_in(packet: memoryview) -> tuple[Sockaddr, memoryview]:
    return SockaddrIn(socket.inet_ntop(socket.AF_INET, bytes(packet[12:16])), 0), packet


def _read_in6(packet: memoryview) -> tuple[Sockaddr, memoryview]:
    """What follows the last header of IPv6."""
    source = SockaddrIn6(socket.inet_ntop(socket.AF_INET6, bytes(packet[8:24])), 0)
    kind, at = packet[6], 40
    while kind in _EXTENSIONS and at + 2 <= len(packet):
        kind, length = packet[at], packet[at + 1]
        at += (length + 1) * 8
    return source, packet[at:]


_READERS = {AF_INET: _read_in, AF_INET6: _read_in6}
