"""Addresses as text, and other text that is read: against the plain socket module, `ipaddress` and `uuid`."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from tests.fuzz.parser import Parser, Refused
from tests.refusals import code_of
from winsock.abi import sockaddr
from winsock.abi.constants import AF_HYPERV, AF_INET, AF_INET6, AF_UNIX, INADDR_NONE
from winsock.abi.errors import WSAEFAULT, WSAEINVAL
from winsock.abi.guids import GUID
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.api import names
from winsock.catalog import settings
from winsock.catalog.files import expanded

INVALID = frozenset({WSAEINVAL})
FAULT = frozenset({WSAEFAULT})
_GUID_FORM = re.compile(r"(\{)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?(1)\})")
_PORT_FORM = re.compile(r"[0-9]+")

IPV4 = [
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "1.2.3",
    "127.1",
    "0x7f.1",
    "017700000001",
    "4294967295",
    "1.2.3.010",
]
IPV6 = ["::", "::1", "fe80::1", "1:2:3:4:5:6:7:8", "2001:db8::ff00:42:8329", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4"]
GUIDS = ["{e70f1aa0-ab8b-11cf-8ca3-00805f48a192}", "B5367DF0-CBAC-11CF-95CA-00805F48A192"]


def port_of(text: str) -> int | None:
    """An own opinion of what a port looks like."""
    number = ("0" + text).lstrip("0")[:8] if _PORT_FORM.fullmatch(text) else "99999"
    return port if (port := int(number or "0")) <= 0xFFFF else None


def ipv4(text: str) -> bytes | None:
    """What the C library makes of it; it is more patient with what follows a blank."""
    if not text.isascii() or any(c.isspace() or c == "\0" for c in text):
        return None
    try:
        return socket.inet_aton(text)
    except OSError:
        return None


def ipv6(text: str) -> bytes | None:
    """What `ipaddress` makes of it."""
    try:
        return None if "%" in text else ipaddress.IPv6Address(text).packed
    except ValueError:
        return None


def _expected_in(text: str) -> Sockaddr | None:
    host, colon, port_text = text.partition(":")
    packed, port = ipv4(host), port_of(port_text) if colon else 0
    return None if packed is None or port is None else SockaddrIn(socket.inet_ntoa(packed), port)


_IN6_FORM = re.compile(r"(\[)?([^\]%\[]*)(?:%([0-9]+))?(?(1)\](?::([0-9]+))?)", re.DOTALL)


def _expected_in6(text: str) -> Sockaddr | None:
    form = _IN6_FORM.fullmatch(text)
    packed = ipv6(form[2]) if form else None
    if form is None or packed is None:
        return None
    scope, port = (form[3] or "0").lstrip("0") or "0", port_of(form[4] or "0")
    if port is None or len(scope) > 10 or int(scope) > 0xFFFFFFFF:
        return None
    return SockaddrIn6(socket.inet_ntop(socket.AF_INET6, packed), port, 0, int(scope))


def _holds_in(text: str, found: Any) -> None:
    _same(text, found, _expected_in(text))


def _holds_in6(text: str, found: Any) -> None:
    _same(text, found, _expected_in6(text))


def _same(text: str, found: Any, expected: Sockaddr | None) -> None:
    assert (None if isinstance(found, Refused) else found) == expected
    if expected is not None:
        assert isinstance(found, SockaddrIn | SockaddrIn6)
        assert type(found) is type(expected)
        assert names.WSAStringToAddress(names.WSAAddressToString(found), found.family) == found
        found.pack()


def _holds_path(text: str, found: Any) -> None:
    try:
        name = os.fsencode(text)
    except ValueError:
        assert isinstance(found, Refused)
        return
    if isinstance(found, Refused):
        assert len(name) > 108 or (b"\0" in name and name[:1] != b"@")
        return
    assert found.pack()[2:].rstrip(b"\0") == (b"\0" + name[1:] if name[:1] == b"@" else name).rstrip(b"\0")
    assert str(found) == text


def _holds_machine(text: str, found: Any) -> None:
    parts = text.split(":")
    assert isinstance(found, Refused) != (len(parts) == 2 and all(map(_GUID_FORM.fullmatch, parts)))
    if not isinstance(found, Refused):
        assert [part.pack() for part in found] == [uuid.UUID(part).bytes_le for part in parts]
        assert names.WSAStringToAddress(str(found), AF_HYPERV) == found


def _holds_guid(text: str, found: Any) -> None:
    assert isinstance(found, Refused) == (not _GUID_FORM.fullmatch(text))
    if not isinstance(found, Refused):
        assert found.pack() == uuid.UUID(text).bytes_le


def _holds_inet_addr(text: str, found: Any) -> None:
    expected = bytes(4) if text == " " else ipv4(text)
    assert found == (INADDR_NONE if expected is None else int.from_bytes(expected, "little"))


def _inet_pton(text: str) -> list[bytes | None]:
    found: list[bytes | None] = []
    for family in (AF_INET, AF_INET6):
        code = code_of(lambda family=family: names.inet_pton(family, text))  # type: ignore[misc]
        found.append(None if code == WSAEINVAL else names.inet_pton(family, text))
    return found


def _holds_inet_pton(text: str, found: Any) -> None:
    try:
        strict = ipaddress.IPv4Address(text).packed
    except ValueError:
        strict = None
    assert found == [strict, ipv6(text)]


def _coerce(text: str) -> Sockaddr:
    """Host, port, flow and scope as the text has them, divided by commas."""
    host, *rest = text.split(",")
    numbers = tuple(int(part) if part.isdecimal() and len(part) < 30 else part for part in rest)
    return sockaddr.coerce((host, *numbers))


def _holds_coerced(text: str, found: Any) -> None:
    if isinstance(found, Refused):
        return
    host, *rest = text.split(",")
    host, percent, scope = host.partition("%")
    assert (ipv4(host) or bytes(4)) if isinstance(found, SockaddrIn) else (ipv6(host) or bytes(16))
    assert found.port == int(rest[0])
    if percent:
        assert found.scope_id == int(scope) if scope.isdecimal() else found.scope_id == socket.if_nametoindex(scope)
    assert sockaddr.unpack(found.pack()) == found


def _coerce_path(text: str) -> Sockaddr:
    return sockaddr.coerce(text)


def _holds_coerced_path(text: str, found: Any) -> None:
    if not isinstance(found, Refused):
        assert found.path == text
        assert os.fsencode(text).rstrip(b"\0") == found.pack()[2:].rstrip(b"\0")


@dataclass
class Options:
    """Of every kind that a layer may have."""

    volume: int = 3
    speed: float = 1.0
    names: bool = False
    colour: Literal["red", "green"] = "red"
    limit: int | None = None
    where: str = ""


def _settings(text: str) -> Options:
    found = settings.parse(Options, text.split(","))
    assert isinstance(found, Options)
    return found


def _holds_settings(text: str, found: Any) -> None:
    if isinstance(found, Refused):
        return
    kinds = {"volume": int, "speed": float, "names": bool, "colour": str, "where": str}
    assert all(type(getattr(found, key)) is kind for key, kind in kinds.items())
    assert found.colour in ("red", "green")
    assert found.limit is None or type(found.limit) is int


def _holds_expanded(text: str, found: Any) -> None:
    if text.count("%") < 2:
        assert found == text
    assert "%HOME%" not in found or "%HOME%" in os.environ["HOME"]


def _read_unix(text: str) -> Sockaddr:
    return names.WSAStringToAddress(text, AF_UNIX)


PARSERS = [
    Parser(
        "IPv4 as text",
        [*IPV4, *(f"{host}:80" for host in IPV4)],
        lambda text: names.WSAStringToAddress(text, AF_INET),
        INVALID,
        _holds_in,
    ),
    Parser(
        "IPv6 as text",
        [*IPV6, *(f"[{host}]:80" for host in IPV6), *(f"{host}%3" for host in IPV6), "[fe80::1%2]:65535"],
        lambda text: names.WSAStringToAddress(text, AF_INET6),
        INVALID,
        _holds_in6,
    ),
    Parser("path as text", ["/run/x", "@name", "@", "x" * 108, ""], _read_unix, INVALID, _holds_path),
    Parser(
        "machine as text",
        [f"{one}:{other}" for one in GUIDS for other in GUIDS],
        lambda text: names.WSAStringToAddress(text, AF_HYPERV),
        INVALID,
        _holds_machine,
    ),
    Parser("GUID as text", GUIDS, GUID.parse, ValueError, _holds_guid),
    Parser("inet_addr", [*IPV4, "1.2.3.010", " "], names.inet_addr, frozenset(), _holds_inet_addr),
    Parser("inet_pton", [*IPV4, *IPV6], _inet_pton, frozenset(), _holds_inet_pton),
    Parser(
        "tuple",
        [f"{host},80" for host in ("127.0.0.1", "::1", "", "fe80::1%lo", "fe80::1%3")] + ["::1,80,5,7"],
        _coerce,
        FAULT,
        _holds_coerced,
    ),
    Parser("path", ["/run/x", "\0name\0x", ""], _coerce_path, FAULT, _holds_coerced_path),
    Parser(
        "options",
        ["volume=11,names=yes", "speed=1e3", "colour=green", "limit=5,where=a=b", "names"],
        _settings,
        ValueError,
        _holds_settings,
    ),
    Parser("path with variables", ["%HOME%/x", "a%b", "%HOME%%HOME%", "%%"], expanded, frozenset(), _holds_expanded),
]
