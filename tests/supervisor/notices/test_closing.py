"""What a notice says and leaves open, on messages made by hand: which segment wins cannot be arranged."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.supervisor.notices.diag_messages import HERE, attribute, message, socket_id, tcp_info
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.notices.closing import Closing, Past, at_end
from winsock.supervisor.notices.sockdiag import Message


def notice(*, unread: int = 0, unacknowledged: int = 0, dport: int = 2, **counters: int) -> Message:
    data = message(
        socket.AF_INET,
        socket_id(HERE, 1, HERE, dport, 3),
        attribute(sockdiag.ATTRIBUTE_INFO, tcp_info(**counters)),
        unread=unread,
        unacknowledged=unacknowledged,
    )
    return sockdiag.unpack(data, sockdiag.HEADER.size, len(data))


def stays(state: int | None) -> Callable[[Message], int | None]:
    return lambda message: state


def lived(past: Past) -> Callable[[int], Past]:
    return lambda cookie: past


TEN_AND_A_FIN = {"received": 11, "segments_in": 1}
TEN = {"received": 10, "segments_in": 1}
CONNECTED = Past(accepted=False)
ACCEPTED = Past(accepted=True)


@pytest.mark.parametrize(
    ("told", "past", "state"),
    [
        (notice(**TEN, acked=2), CONNECTED, sockdiag.FIN_WAIT2),
        (notice(**TEN, acked=2), Past(shut=False), sockdiag.TIME_WAIT),
        (notice(**TEN, acked=2), Past(), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2, unread=1), Past(), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2, unread=1), Past(shut=False), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2), Past(shut=True), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2, last_ack=1000), Past(), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2), Past(), None),
        (notice(**TEN_AND_A_FIN, acked=2), CONNECTED, None),
        (notice(**TEN_AND_A_FIN, acked=1), ACCEPTED, None),
        (notice(**TEN_AND_A_FIN, acked=1, delivered=2), Past(), None),
        (notice(**TEN_AND_A_FIN, acked=6, sent=8, retransmitted=3, segments_out=3, delivered=5), Past(), None),
        (notice(**TEN_AND_A_FIN, acked=1), ACCEPTED, sockdiag.LISTEN),
        (notice(**TEN_AND_A_FIN, unread=1), ACCEPTED, None),
        (notice(**TEN, acked=1, delivered=1), Past(), None),
        (notice(**TEN, acked=1, delivered=2), CONNECTED, None),
        (notice(**TEN, unread=10), ACCEPTED, None),
    ],
)
def test_a_fin_is_told_from_a_byte(told: Message, past: Past, state: int | None) -> None:
    assert at_end(told, lived(past), stays(state)).received == 10


def test_nothing_is_asked_where_no_data_came() -> None:
    def ask(message: Message) -> int | None:
        raise AssertionError("asked")

    assert at_end(notice(received=1, acked=2), lived(Past()), ask).received == 0


def test_a_disconnected_socket_that_never_had_a_window_was_not_wiped() -> None:
    for queue, wiped in ((0, False), (3, False), (4096, True)):
        assert at_end(notice(dport=0, unacknowledged=queue), lived(Past()), stays(None)).wiped is wiped


def test_retransmitted_bytes_are_counted_once() -> None:
    closing = at_end(
        notice(acked=1001, sent=1500, retransmitted=500, retransmits=3, rtt=20), lived(Past()), stays(None)
    )
    assert (closing.sent, closing.retransmits, closing.rtt_us) == (1000, 3, 20)


def test_a_closing_without_a_notice_has_no_addresses() -> None:
    assert (Closing().local, Closing().peer) == (None, None)
