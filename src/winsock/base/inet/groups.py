"""Socket groups: sockets that an application says belong together.

A group lives as long as one of its sockets. A constrained one holds connection-oriented sockets of one type and
protocol, and all of them connect to the same host: the peer of the first that was connected. Ids are unique among
processes, because the process's own id is part of them; a group itself is the process's own.

Source: nf-winsock2-wsasocketw, "Socket Groups".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from winsock.abi.constants import SG_CONSTRAINED_GROUP, SG_UNCONSTRAINED_GROUP, SOCK_STREAM
from winsock.abi.errors import WSAEINVAL, WSAENOBUFS, WinsockError
from winsock.base.inet import raw

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.base.inet.own import OwnSocket

_MOST = 1 << 10  # at once in a process: what a 32-bit id leaves beside the largest process id


class Group:
    """What the sockets of one group have in common."""

    __slots__ = ("constrained_to", "host", "id", "members")

    def __init__(self, group_id: int, constrained_to: tuple[int, int] | None) -> None:
        self.id = group_id
        self.constrained_to = constrained_to
        """(type, protocol) of all its sockets; None where any may join."""
        self.host: str | None = None
        """Where the sockets of a constrained group connect to, once one of them is connected."""
        self.members: list[OwnSocket] = []

    def join(self, record: OwnSocket) -> None:
        """Make a new socket a member."""
        record.group = self
        record.holds_more = True
        self.members.append(record)
        GROUPS[self.id] = self

    def leave(self, record: OwnSocket) -> None:
        """A member is closed; the last one ends the group."""
        if self.constrained_to is not None and self.host is None:
            self.host = _peer(record)
        self.members.remove(record)
        if not self.members:
            GROUPS.pop(self.id, None)

    def check_host(self, host: str) -> None:
        """Raises WSAEINVAL for a connect to another host than the one of a constrained group."""
        if self.constrained_to is None:
            return
        if self.host is None:
            self.host = next(filter(None, map(_peer, self.members)), None)
        if self.host not in (None, host):
            raise WinsockError(WSAEINVAL, f"name: the sockets of the group {self.id} connect to {self.host} only")


GROUPS: dict[int, Group] = {}
"""By id, the groups that have a socket."""


def find_or_make(g: int, info: WSAPROTOCOL_INFO) -> Group:
    """The group that `g` means for a new socket of that protocol: a new one, or the one of that id.

    Raises WSAEINVAL where there is no such group, or the socket does not meet its requirements.
    """
    if g in (SG_UNCONSTRAINED_GROUP, SG_CONSTRAINED_GROUP):
        kind = (info.iSocketType, info.iProtocol)
        group = Group(_free_id(), kind if g == SG_CONSTRAINED_GROUP else None)
    elif g in GROUPS:
        group = GROUPS[g]
    else:
        raise WinsockError(WSAEINVAL, f"g: {g} is no group of sockets")
    if group.constrained_to is not None:
        _check_kind(group.constrained_to, info)
    return group


def _check_kind(kind: tuple[int, int], info: WSAPROTOCOL_INFO) -> None:
    if info.iSocketType != SOCK_STREAM:
        raise WinsockError(WSAEINVAL, f"g: {info.szProtocol} has no connections, which a constrained group needs")
    if kind != (info.iSocketType, info.iProtocol):
        raise WinsockError(WSAEINVAL, f"g: {info.szProtocol} is not the protocol of the group's sockets")


def _peer(member: OwnSocket) -> str | None:
    """The host that a socket is connected to."""
    try:
        return getattr(raw.getpeername(member.handle), "host", None)
    except WinsockError:
        return None


def _free_id() -> int:
    first = os.getpid() * _MOST
    free = next((number for number in range(first, first + _MOST) if number not in GROUPS), None)
    if free is None:
        raise WinsockError(WSAENOBUFS, f"g: this process has {_MOST} groups, and no more at once")
    return free
