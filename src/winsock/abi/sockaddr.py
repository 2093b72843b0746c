"""Socket addresses as values, and Windows' layout of each.

A value is a named tuple with plain text in it: cheap, frozen, equal to the tuple that the `socket` module would use.
`family` is Windows' number (AF_INET6 is 23). No value is checked when it is made; `pack` and `coerce` check, because
they stand where an address comes in from somebody else.

Sources: sockaddr_in, sockaddr_in6 (ws2def.h, ws2ipdef.h), sockaddr_un (afunix.h) and SOCKADDR_HV (hvsocket.h) of the
Windows SDK.
"""

from __future__ import annotations

import os
import socket
import struct
from struct import Struct
from typing import NamedTuple, TypeAlias

from winsock.abi.constants import AF_CCITT, AF_HYPERV, AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, UNIX_PATH_MAX
from winsock.abi.errors import WSAEAFNOSUPPORT, WSAEFAULT, WinsockError
from winsock.abi.guids import GUID

_FAMILY = Struct("<H")
_PORT = Struct(">H")
_FLOW = Struct(">I")
_SCOPE = Struct("<I")

IN_SIZE = 16
IN6_SIZE = 28
UN_SIZE = 2 + UNIX_PATH_MAX
HV_SIZE = 36


class _In(NamedTuple):
    host: str
    port: int


class SockaddrIn(_In):
    """An IPv4 address, its host in dotted form."""

    __slots__ = ()
    family = AF_INET

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def pack(self) -> bytes:
        """The 16 bytes of sockaddr_in; WSAEFAULT if host or port are none."""
        return _FAMILY.pack(AF_INET) + _port_bytes(self.port) + _host_bytes(socket.AF_INET, self.host) + bytes(8)

    def mapped(self) -> SockaddrIn6:
        """The same address as an IPv6 socket sees it, v4-mapped."""
        return SockaddrIn6("::ffff:" + self.host, self.port)


class _In6(NamedTuple):
    host: str
    port: int
    flowinfo: int = 0
    scope_id: int = 0


class SockaddrIn6(_In6):
    """An IPv6 address, its host in canonical form without a scope."""

    __slots__ = ()
    family = AF_INET6

    def __str__(self) -> str:
        scope = f"%{self.scope_id}" if self.scope_id else ""
        return f"[{self.host}{scope}]:{self.port}"

    def pack(self) -> bytes:
        """The 28 bytes of sockaddr_in6; WSAEFAULT if host, port, flow or scope are none."""
        return (
            _FAMILY.pack(AF_INET6)
            + _port_bytes(self.port)
            + _number_bytes(_FLOW, self.flowinfo, "flow information")
            + _host_bytes(socket.AF_INET6, self.host)
            + _number_bytes(_SCOPE, self.scope_id, "scope id")
        )

    def unmapped(self) -> SockaddrIn | None:
        """The IPv4 address that a v4-mapped one stands for, else None."""
        if self.host.startswith("::ffff:") and "." in self.host:
            return SockaddrIn(self.host[7:], self.port)
        return None


class _Un(NamedTuple):
    path: str | bytes


class SockaddrUn(_Un):
    """A local address: a path, or bytes that begin with a zero byte for an abstract name; empty if unnamed."""

    __slots__ = ()
    family = AF_UNIX

    def __str__(self) -> str:
        name = os.fsencode(self.path)
        return "@" + os.fsdecode(name[1:]) if name[:1] == b"\0" else os.fsdecode(name)

    def pack(self) -> bytes:
        """sockaddr_un: 110 bytes for a path; as long as it is for an abstract name.

        WSAEFAULT if it is too long, holds a zero byte or what no file's name can hold.
        """
        try:
            name = os.fsencode(self.path)
        except (TypeError, ValueError):
            raise WinsockError(WSAEFAULT, f"{self.path!r} is no path") from None
        if len(name) > UNIX_PATH_MAX:
            raise WinsockError(WSAEFAULT, f"the path has {len(name)} bytes, at most {UNIX_PATH_MAX} fit")
        if b"\0" in name and name[:1] != b"\0":
            raise WinsockError(WSAEFAULT, f"the path would end at its zero byte: {self.path!r}")
        packed = _FAMILY.pack(AF_UNIX) + name
        return packed if name[:1] == b"\0" else packed.ljust(UN_SIZE, b"\0")


class _Hv(NamedTuple):
    vm_id: GUID
    service_id: GUID


class SockaddrHv(_Hv):
    """A service of a virtual machine, each by its GUID (AF_HYPERV)."""

    __slots__ = ()
    family = AF_HYPERV

    def __str__(self) -> str:
        return f"{self.vm_id}:{self.service_id}"

    def pack(self) -> bytes:
        """The 36 bytes of SOCKADDR_HV; WSAEFAULT where a part is no GUID."""
        try:
            return _FAMILY.pack(AF_HYPERV) + bytes(2) + self.vm_id.pack() + self.service_id.pack()
        except (AttributeError, struct.error):
            raise WinsockError(WSAEFAULT, f"{tuple(self)!r} are not two GUIDs") from None


class SockaddrOther(NamedTuple):
    """An address of a family that has no value of its own: the bytes after the family."""

    family: int
    data: bytes

    def __str__(self) -> str:
        return f"family {self.family}: {self.data.hex()}"

    def pack(self) -> bytes:
        """The family and the bytes."""
        return _FAMILY.pack(self.family) + self.data


NO_PEER = SockaddrOther(AF_UNSPEC, bytes(14))
"""To connect there takes a connect back."""

Sockaddr: TypeAlias = SockaddrIn | SockaddrIn6 | SockaddrUn | SockaddrHv | SockaddrOther


def unpack(data: bytes | bytearray | memoryview) -> Sockaddr:
    """The address in Windows' layout; WSAEFAULT where it is shorter than its family says."""
    if len(data) < 2:
        raise WinsockError(WSAEFAULT, f"an address has its family in 2 bytes, here are {len(data)}")
    (family,) = _FAMILY.unpack_from(data)
    reader = _READERS.get(family)
    return reader(bytes(data)) if reader else SockaddrOther(family, bytes(data[2:]))


def _unpack_in(data: bytes) -> Sockaddr:
    _require(data, IN_SIZE, "sockaddr_in")
    return SockaddrIn(socket.inet_ntop(socket.AF_INET, data[4:8]), _PORT.unpack_from(data, 2)[0])


def _unpack_in6(data: bytes) -> Sockaddr:
    _require(data, IN6_SIZE, "sockaddr_in6")
    host = socket.inet_ntop(socket.AF_INET6, data[8:24])
    return SockaddrIn6(
        host, _PORT.unpack_from(data, 2)[0], _FLOW.unpack_from(data, 4)[0], _SCOPE.unpack_from(data, 24)[0]
    )


def _unpack_un(data: bytes) -> Sockaddr:
    name = data[2:]
    if name[:1] != b"\0" or not name.strip(b"\0"):
        name = name.split(b"\0", 1)[0]
    if len(name) > UNIX_PATH_MAX:
        raise WinsockError(WSAEFAULT, f"the path has {len(name)} bytes, at most {UNIX_PATH_MAX} fit")
    return SockaddrUn(name if name[:1] == b"\0" else os.fsdecode(name))


def _unpack_hv(data: bytes) -> Sockaddr:
    _require(data, HV_SIZE, "SOCKADDR_HV")
    return SockaddrHv(GUID.unpack(data[4:20]), GUID.unpack(data[20:36]))


_READERS = {AF_INET: _unpack_in, AF_INET6: _unpack_in6, AF_UNIX: _unpack_un, AF_HYPERV: _unpack_hv}


def coerce(value: object, family: int = AF_UNSPEC) -> Sockaddr:
    """An address from what Python programmers write: a tuple, a path, or already an address.

    `family` is Windows' number and says how to read a tuple or a path; AF_UNSPEC guesses it. Hosts are numeric: ""
    is the wildcard and "<broadcast>" the broadcast address; a name is for getaddrinfo. WSAEFAULT if the value is no
    address of the family, WSAEAFNOSUPPORT if the family has no such form.
    """
    if isinstance(value, (SockaddrIn, SockaddrIn6, SockaddrUn, SockaddrHv, SockaddrOther)):
        return value
    if family == AF_UNSPEC:
        family = _guess(value)
    maker = _MAKERS.get(family)
    if maker is None:
        hint = "; AF_INET6 is 23 here, 10 is its number on Linux" if family == AF_CCITT else ""
        raise WinsockError(WSAEAFNOSUPPORT, f"family {family} has no addresses as {type(value).__name__}{hint}")
    return maker(value)


def _guess(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return AF_UNIX
    host = value[0] if isinstance(value, tuple) and value else None
    return AF_INET6 if isinstance(host, str) and ":" in host else AF_INET


def _make_in(value: object) -> Sockaddr:
    host, port = _host_and_port(value, 2)[:2]
    if host == "<broadcast>":
        host = "255.255.255.255"
    address = SockaddrIn(host or "0.0.0.0", port)
    address.pack()
    return address


def _make_in6(value: object) -> Sockaddr:
    host, port, *rest = _host_and_port(value, 4)
    host, percent, scope = host.partition("%")
    flowinfo, scope_id = (*rest, 0, 0)[:2]
    if percent:
        scope_id = _scope_number(scope)
    packed = _host_bytes(socket.AF_INET6, host or "::")
    address = SockaddrIn6(socket.inet_ntop(socket.AF_INET6, packed), port, flowinfo, scope_id)
    address.pack()
    return address


def _make_un(value: object) -> Sockaddr:
    if not isinstance(value, (str, bytes)):
        raise WinsockError(WSAEFAULT, f"a local address is a path, not {value!r}")
    address = SockaddrUn(value)
    address.pack()
    return address


def _make_hv(value: object) -> Sockaddr:
    if not isinstance(value, tuple) or len(value) != 2:
        raise WinsockError(WSAEFAULT, f"an address of a virtual machine is a tuple of two GUIDs, not {value!r}")
    try:
        vm_id, service_id = (GUID.parse(part) if isinstance(part, str) else part for part in value)
    except ValueError as error:
        raise WinsockError(WSAEFAULT, str(error)) from None
    address = SockaddrHv(vm_id, service_id)
    address.pack()
    return address


_MAKERS = {AF_INET: _make_in, AF_INET6: _make_in6, AF_UNIX: _make_un, AF_HYPERV: _make_hv}


def _host_and_port(value: object, most: int) -> tuple[str, int, *tuple[int, ...]]:
    if isinstance(value, tuple) and 2 <= len(value) <= most and isinstance(value[0], str):
        return value
    raise WinsockError(WSAEFAULT, f"an address is a tuple of host and port, not {value!r}")


def _scope_number(scope: str) -> int:
    number = decimal(scope, 0xFFFFFFFF)
    if number is not None:
        return number
    try:
        return socket.if_nametoindex(scope)
    except (OSError, ValueError):
        raise WinsockError(WSAEFAULT, f"there is no interface {scope!r}") from None


def decimal(text: str, most: int) -> int | None:
    """The number that decimal digits spell, and nothing beside them; None where it is none, or more than `most`."""
    digits = text.lstrip("0") or text[:1]
    if not (text.isascii() and text.isdecimal()) or len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None


def _require(data: bytes, size: int, what: str) -> None:
    if len(data) < size:
        raise WinsockError(WSAEFAULT, f"{what} has {size} bytes, here are {len(data)}")


def _host_bytes(host_family: int, host: str) -> bytes:
    try:
        return socket.inet_pton(host_family, host)
    except (OSError, TypeError, ValueError):
        kind = "an IPv4" if host_family == socket.AF_INET else "an IPv6"
        raise WinsockError(WSAEFAULT, f"{host!r} is not {kind} address; names are for getaddrinfo") from None


def _port_bytes(port: int) -> bytes:
    return _number_bytes(_PORT, port, "port")


def _number_bytes(layout: Struct, number: int, what: str) -> bytes:
    try:
        return layout.pack(number)
    except struct.error:
        raise WinsockError(WSAEFAULT, f"{number!r} is not a {what}") from None
