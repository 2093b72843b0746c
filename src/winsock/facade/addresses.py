"""Addresses as Python's socket module has them, and as Winsock has them.

Sources: the documentation of the socket module, "Socket families".
"""

from __future__ import annotations

import socket as host
from typing import Any

from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6

_MOST_PORTS = 0xFFFF
_MOST_FLOWS = 0xFFFFF
_SPECIAL = {"": {host.AF_INET: "0.0.0.0", host.AF_INET6: "::"}, "<broadcast>": {host.AF_INET: "255.255.255.255"}}


def to_winsock(family: int, address: Any, function: str) -> Sockaddr:
    """What a program passed as an address; raises what the socket module raises for what is none."""
    if not isinstance(address, tuple):
        raise TypeError(f"{function}(): AF_INET address must be tuple, not {type(address).__name__}")
    sizes = (2,) if family == host.AF_INET else (2, 3, 4)
    if len(address) not in sizes:
        raise TypeError(f"{function}(): wrong number of parts in the address: {len(address)}")
    name, port, *rest = address
    if not isinstance(port, int):
        raise TypeError(f"'{type(port).__name__}' object cannot be interpreted as an integer")
    if not 0 <= port <= _MOST_PORTS:
        raise OverflowError(f"{function}(): port must be 0-65535.")
    flow, scope = (*rest, 0, 0)[:2]
    if not 0 <= flow <= _MOST_FLOWS:
        raise OverflowError(f"{function}(): flowinfo must be 0-1048575.")
    numeric, scope = _resolved(family, name, scope)
    return SockaddrIn(numeric, port) if family == host.AF_INET else SockaddrIn6(numeric, port, flow, scope)


def _resolved(family: int, name: Any, scope: int) -> tuple[str, int]:
    if isinstance(name, (bytes, bytearray)):
        name = bytes(name).decode("ascii")
    if not isinstance(name, str):
        raise TypeError(f"str, bytes or bytearray expected, not {type(name).__name__}")
    special = _SPECIAL.get(name, {}).get(host.AddressFamily(family))
    if special is not None:
        return special, scope
    found = host.getaddrinfo(name, 0, family, host.SOCK_STREAM)[0][4]
    return str(found[0]).partition("%")[0], scope or (int(found[3]) if len(found) > 3 else 0)


def from_winsock(address: Sockaddr | None) -> Any:
    """An address as the socket module answers it."""
    if isinstance(address, SockaddrIn6):
        shown = address.host
        if address.scope_id and address.host.lower().startswith("fe80"):
            shown = f"{address.host}%{_interface(address.scope_id)}"
        return shown, address.port, address.flowinfo, address.scope_id
    if isinstance(address, SockaddrIn):
        return address.host, address.port
    return None


def _interface(index: int) -> str:
    try:
        return host.if_indextoname(index)
    except OSError:
        return str(index)
