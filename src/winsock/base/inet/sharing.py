"""Who may bind to an address that is taken: the table of `core.bind_sharing`, kept among the sockets of this process.

The kernel cannot keep it, because its options are not Windows'. A TCP socket is bound with the host's SO_REUSEADDR, as
Windows' default needs (a server can start again while old connections end), and the kernel would then let two sockets
bind one address as long as neither listens. So each bind is held against the table first, and made after; where the
kernel is the stricter one, those whom it concerns agree for that moment (`neighbours`).
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from winsock.abi.errors import WinsockError, name_of
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.core.bind_sharing import answer


class Claim(NamedTuple):
    """What one socket holds by its bind."""

    protocol: int
    port: int
    families: tuple[int, ...]
    """4, 6, or both for the wildcard of a dual-stack socket."""
    host: str | None
    """The specific address; None for the wildcard."""
    option: int

    def overlaps(self, other: Claim) -> bool:
        """Whether the two are about one address at least."""
        same_host = self.host is None or other.host is None or self.host == other.host
        return (
            self.protocol == other.protocol
            and self.port == other.port
            and same_host
            and not set(self.families).isdisjoint(other.families)
        )


_claims: dict[int, list[Claim]] = {}  # by port
_lock = threading.Lock()


def claim_of(address: SockaddrIn | SockaddrIn6, protocol: int, option: int, *, v6_only: bool) -> Claim:
    """The claim that a bind to this address makes."""
    if isinstance(address, SockaddrIn6):
        mapped = address.unmapped()
        if mapped is None:
            if address.host == "::":
                return Claim(protocol, address.port, (6,) if v6_only else (4, 6), None, option)
            host = f"{address.host}%{address.scope_id}" if address.scope_id else address.host
            return Claim(protocol, address.port, (6,), host, option)
        address = mapped
    return Claim(protocol, address.port, (4,), None if address.host == "0.0.0.0" else address.host, option)


def check(claim: Claim) -> None:
    """Hold a bind against those made before; raises WSAEADDRINUSE or WSAEACCES as the table says."""
    if claim.port == 0:
        return
    with _lock:
        held_here = [held for held in _claims.get(claim.port, ()) if held.overlaps(claim)]
        answers = [answer(held.option, held.host is None, claim.option, claim.host is None) for held in held_here]
    code = max(answers, default=0)
    if code:
        raise WinsockError(code, f"name: port {claim.port} is taken by a socket of this process ({name_of(code)})")


def add(claim: Claim) -> None:
    """Remember a bind that was made."""
    with _lock:
        _claims.setdefault(claim.port, []).append(claim)


def remove(claim: Claim) -> None:
    """Forget it: the socket was closed."""
    with _lock:
        same_port = _claims[claim.port]
        same_port.remove(claim)
        if not same_port:
            del _claims[claim.port]
