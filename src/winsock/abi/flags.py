"""Flags: one row a flag of the functions that are here, and which of the three answers it gets.

"host": the kernel's own flag stands for it; "emulated": done here as documented; "refused": the documented error, which
`note` names. A flag of a function that is not there yet has no row.

Source: the pages of the functions named in `functions`.
"""

from __future__ import annotations

from typing import NamedTuple

from winsock.abi import constants


class Flag(NamedTuple):
    """One flag, or one value of a parameter that works like one."""

    value: int
    name: str
    functions: str
    host: str
    """"host", "emulated" or "refused"."""
    note: str = ""


def _row(name: str, functions: str, host: str, note: str = "") -> Flag:
    return Flag(getattr(constants, name), name, functions, host, note)


_SENDS = "send, sendto, WSASend, WSASendTo"
_RECEIVES = "recv, recvfrom, WSARecv, WSARecvFrom"
_UNREAD = "of TCP, what is unread or comes later resets the connection when it is closed, on Windows at once"
_BOTH = f"{_SENDS}, {_RECEIVES}"

ROWS: tuple[Flag, ...] = (
    _row("MSG_OOB", _BOTH, "host", "streams; WSAEOPNOTSUPP on datagram sockets"),
    _row("MSG_PEEK", _RECEIVES, "host"),
    _row("MSG_DONTROUTE", _SENDS, "host"),
    _row("MSG_WAITALL", _RECEIVES, "host", "blocking streams; WSAEOPNOTSUPP elsewhere"),
    _row("MSG_PARTIAL", _RECEIVES, "emulated", "in: a datagram may be cut; out: it was"),
    _row("MSG_PARTIAL", _SENDS, "refused", "WSAEOPNOTSUPP: neither TCP nor UDP sends parts of messages"),
    _row("MSG_PUSH_IMMEDIATE", _RECEIVES, "emulated", "accepted: a receive is always completed early here"),
    _row("MSG_INTERRUPT", _BOTH, "refused", "WSAEINVAL: reserved for drivers"),
    _row("MSG_TRUNC", _RECEIVES, "refused", "WSAEINVAL: a result of WSARecvMsg, which is not there yet"),
    _row("MSG_CTRUNC", _RECEIVES, "refused", "WSAEINVAL: a result of WSARecvMsg, which is not there yet"),
    _row("MSG_BCAST", _RECEIVES, "refused", "WSAEINVAL: a result of WSARecvMsg, which is not there yet"),
    _row("MSG_MCAST", _RECEIVES, "refused", "WSAEINVAL: a result of WSARecvMsg, which is not there yet"),
    _row("MSG_ERRQUEUE", _RECEIVES, "refused", "WSAEINVAL: a flag of WSARecvMsg, which is not there yet"),
    _row("WSA_FLAG_OVERLAPPED", "WSASocket", "emulated", "accepted; there are no overlapped operations yet"),
    _row("WSA_FLAG_NO_HANDLE_INHERIT", "WSASocket", "host", "close-on-exec"),
    _row("WSA_FLAG_MULTIPOINT_C_LEAF", "WSASocket", "emulated", "accepted for datagrams: IP multicast has no roots"),
    _row("WSA_FLAG_MULTIPOINT_D_LEAF", "WSASocket", "emulated", "accepted for datagrams: IP multicast has no roots"),
    _row("WSA_FLAG_MULTIPOINT_C_ROOT", "WSASocket", "refused", "WSAEINVAL: IP multicast has no roots"),
    _row("WSA_FLAG_MULTIPOINT_D_ROOT", "WSASocket", "refused", "WSAEINVAL: IP multicast has no roots"),
    _row("WSA_FLAG_ACCESS_SYSTEM_SECURITY", "WSASocket", "refused", "WSAEINVAL: sockets have no security descriptor"),
    _row("WSA_FLAG_REGISTERED_IO", "WSASocket", "refused", "WSAEINVAL: registered I/O is not there yet"),
    _row("SG_UNCONSTRAINED_GROUP", "WSASocket", "emulated", "groups are the process's own"),
    _row("SG_CONSTRAINED_GROUP", "WSASocket", "emulated", "groups are the process's own: streams to one host"),
    _row("SD_RECEIVE", "shutdown", "host", _UNREAD),
    _row("SD_SEND", "shutdown", "host"),
    _row("SD_BOTH", "shutdown", "host", _UNREAD),
    _row("CF_ACCEPT", "WSAAccept", "emulated", "the kernel has accepted already"),
    _row("CF_REJECT", "WSAAccept", "emulated", "the kernel has accepted already: the peer sees a reset"),
    _row("CF_DEFER", "WSAAccept", "emulated", "the connection is kept for the next accept"),
)
