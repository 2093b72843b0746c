"""The socket module, over Winsock: everything it has, with a class whose sockets are opened through protocol chains.

    from winsock.facade import socket

Whatever it does not define itself is the host's own, so that names, constants and look-ups are the same objects.
"""

from __future__ import annotations

import os
import socket as host
from typing import Any

from winsock.facade.twin import socket as socket

_NO_TIMEOUT: Any = getattr(host, "_GLOBAL_DEFAULT_TIMEOUT")  # noqa: B009 - no name of the module's public ones


def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:
    """A socket of a duplicate of the descriptor."""
    return socket(family, type, proto, os.dup(fd))


def socketpair(family: int | None = None, type: int = host.SOCK_STREAM, proto: int = 0) -> tuple[socket, socket]:
    """Two sockets that are connected to each other."""
    one, other = host.socketpair(family, type, proto)
    kind = one.family, one.type, one.proto
    return socket(*kind, one.detach()), socket(*kind, other.detach())


def create_connection(
    address: tuple[str, int],
    timeout: Any = _NO_TIMEOUT,
    source_address: tuple[str, int] | None = None,
    *,
    all_errors: bool = False,
) -> socket:
    """Connect to a host by name: the first of its addresses that answers."""
    name, port = address
    failures: list[OSError] = []
    for family, type, proto, _, where in host.getaddrinfo(name, port, 0, host.SOCK_STREAM):
        made = None
        try:
            made = socket(family, type, proto)
            if timeout is not _NO_TIMEOUT:
                made.settimeout(timeout)
            if source_address:
                made.bind(source_address)
            made.connect(where)
            failures.clear()
            return made
        except OSError as error:
            if not all_errors:
                failures.clear()
            failures.append(error)
            if made is not None:
                made.close()
    if not failures:
        raise OSError("getaddrinfo returns an empty list")
    try:
        raise failures[0] if not all_errors else ExceptionGroup("create_connection failed", failures)
    finally:
        failures.clear()


def create_server(
    address: Any,
    *,
    family: int = host.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """A listening socket; `dualstack_ipv6`: one that takes IPv4, too."""
    if reuse_port and not hasattr(host, "SO_REUSEPORT"):
        raise ValueError("SO_REUSEPORT not supported on this platform")
    if dualstack_ipv6:
        if not host.has_dualstack_ipv6():
            raise ValueError("dualstack_ipv6 not supported on this platform")
        if family != host.AF_INET6:
            raise ValueError("dualstack_ipv6 requires AF_INET6 family")
    made = socket(family, host.SOCK_STREAM)
    try:
        if os.name == "posix":
            made.setsockopt(host.SOL_SOCKET, host.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(host.SOL_SOCKET, host.SO_REUSEPORT, 1)
        if family == host.AF_INET6:
            made.setsockopt(host.IPPROTO_IPV6, host.IPV6_V6ONLY, not dualstack_ipv6)
        try:
            made.bind(address)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (while attempting to bind on address {address!r})") from None
        if backlog is None:
            made.listen()
        else:
            made.listen(backlog)
        return made
    except OSError:
        made.close()
        raise


def __getattr__(name: str) -> Any:
    return getattr(host, name)


def __dir__() -> list[str]:
    return dir(host)


__all__ = list(host.__all__)
