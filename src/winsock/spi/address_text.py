"""Addresses of the internet families as text: what a provider's WSPAddressToString and WSPStringToAddress answer.

Source: nf-winsock2-wsaaddresstostringw; nf-winsock2-wsastringtoaddressw.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from winsock.abi.constants import AF_INET, AF_INET6
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.core import dotted


def text_of(address: SockaddrIn | SockaddrIn6) -> str:
    """The address with its port, where that is not 0."""
    if address.port:
        return str(address)
    if isinstance(address, SockaddrIn6) and address.scope_id:
        return f"{address.host}%{address.scope_id}"
    return address.host


def read(text: str, family: int) -> Sockaddr | None:
    """The address that the text spells, its port 0 where none is given; None where it spells none of that family."""
    return _READERS[family](text)


def _read_in(text: str) -> Sockaddr | None:
    host, colon, port_text = text.partition(":")
    packed = dotted.parse(host)
    port = _port(port_text) if colon else 0
    if packed is None or port is None:
        return None
    return SockaddrIn(socket.inet_ntop(socket.AF_INET, packed), port)


def _read_in6(text: str) -> Sockaddr | None:
    port: int | None = 0
    if text.startswith("["):
        text, bracket, port_text = text[1:].partition("]")
        if not bracket or (port_text and not port_text.startswith(":")):
            return None
        port = _port(port_text[1:]) if port_text else 0
    host, percent, scope = text.partition("%")
    if port is None or (percent and not scope.isdecimal()):
        return None
    try:
        canonical = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
    except (OSError, ValueError):
        return None
    return SockaddrIn6(canonical, port, 0, int(scope or "0"))


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    port = int(text)
    return port if port <= 0xFFFF else None


_READERS: dict[int, Callable[[str], Sockaddr | None]] = {AF_INET: _read_in, AF_INET6: _read_in6}
