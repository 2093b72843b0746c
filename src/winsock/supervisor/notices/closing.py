"""What the kernel's description of a socket says of its life: bytes each way, and whether it was ever connected.

What the notice of a destroyed socket leaves open is whether the peer's FIN is counted in `bytes_received`: the state is
always CLOSE. What is left in the kernel under the same addresses tells it in nearly every case, if it is asked at once:
FIN_WAIT2, none had come; TIME_WAIT, one has come by now; nothing, then our FIN was the answer to one, or there was a
reset. The count is exact for an orderly end, and else right within 1: where the peer's FIN overtakes the question, or a
reset comes after or instead of it. `Past` narrows that down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.notices.sockdiag import CLOSE_WAIT, CLOSING, LAST_ACK, Info, Message

NEVER_HAD_A_WINDOW = 3
"""Disconnecting adds 2 and the largest window seen to the send queue, so more than this proves a connection."""
QUIET_MS = 20
"""A socket whose last acknowledgement is older than this was not closed by it, whatever the clock's tick."""


class Closing(NamedTuple):
    """What the kernel knew of a socket at its end; None is unknown, or nothing of the kind (UDP has no counters)."""

    sent: int | None = None
    """Payload bytes handed to the network, each counted once."""
    received: int | None = None
    """Payload bytes that arrived, read or not."""
    rtt_us: int | None = None
    retransmits: int | None = None
    connected: bool | None = None
    """True proves that a connect succeeded, False that the handshake was not completed."""
    wiped: bool = False
    """The connection was dropped (SO_LINGER 0, connect to AF_UNSPEC), which clears the counters."""
    message: Message | None = None
    """The kernel's own description; None where its notice was lost."""

    @property
    def local(self) -> SockaddrIn | SockaddrIn6 | None:
        """The socket's address; None if it never had one."""
        return self.message.local if self.message else None

    @property
    def peer(self) -> SockaddrIn | SockaddrIn6 | None:
        """The address it was connected to; None if unconnected or wiped."""
        return self.message.peer if self.message else None


class Past(NamedTuple):
    """What the supervisor saw of a socket's life; None where it did not look."""

    accepted: bool | None = None
    """It came from accept, not from connect."""
    shut: bool | None = None
    """The program shut down sending."""


def at_end(message: Message, past: Callable[[int], Past], state: Callable[[Message], int | None]) -> Closing:
    """What the notice of a destroyed socket says; `past` tells of a cookie's life, `state` what the kernel has now
    under its addresses."""
    info = message.info
    if info is None:
        return Closing(connected=message.has_peer, message=message)
    if message.unacknowledged > NEVER_HAD_A_WINDOW and not message.has_peer:
        return Closing(connected=True, wiped=True, message=message)
    # Where no segment of data came there was nothing but a FIN, and no need to ask.
    received = info.bytes_received - _fin_came(message, info, past, state) if info.data_segments_in else 0
    return _counted(message, info, received)


def so_far(message: Message) -> Closing:
    """What a dump says of a socket that is still there."""
    info = message.info
    if info is None:
        return Closing(connected=message.has_peer, message=message)
    return _counted(message, info, info.bytes_received - (message.state in (CLOSE_WAIT, LAST_ACK, CLOSING)))


def _counted(message: Message, info: Info, received: int) -> Closing:
    connected = info.bytes_acked > 0 or info.bytes_received > 0
    sent = info.bytes_sent - info.bytes_retransmitted
    rtt = info.rtt_us if connected and info.rtt_us else None
    return Closing(sent, received, rtt, info.retransmits, connected, False, message)


def _fin_came(
    message: Message, info: Info, seen: Callable[[int], Past], state: Callable[[Message], int | None]
) -> bool:
    past = seen(message.cookie)
    match state(message):
        case sockdiag.FIN_WAIT2:
            return False
        case sockdiag.TIME_WAIT:
            # Unread is only the FIN then: data would have meant a reset, and nothing would be in TIME_WAIT.
            half_closed = past.shut if past.shut is not None else info.last_ack_age_ms > QUIET_MS
            return message.unread > 0 or half_closed
        case _:
            return message.unread == 1 or _fin_acknowledged(info, past)


def _fin_acknowledged(info: Info, past: Past) -> bool:
    """Whether the peer acknowledged our FIN: then nothing was reset. bytes_acked counts FIN, and SYN of a connect."""
    beyond = info.bytes_acked - (info.bytes_sent - info.bytes_retransmitted)
    if past.accepted is not None:
        return beyond == (1 if past.accepted else 2)
    return beyond == 2 or (beyond == 1 and info.delivered > info.data_segments_out + 1)
