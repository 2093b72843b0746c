"""What the kernel tells of the peers of local streams."""

from __future__ import annotations

import os
import socket

import pytest

from winsock.host.local import has_open_peer


@pytest.mark.parametrize("how", [None, socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
def test_a_peer_is_open_until_it_is_closed_whatever_was_shut_down(how: int | None) -> None:
    one, other = socket.socketpair()
    with one, other:
        if how is not None:
            one.shutdown(how)
        assert has_open_peer(one.fileno())
        other.shutdown(socket.SHUT_RDWR)
        assert has_open_peer(one.fileno())
        other.close()
        assert not has_open_peer(one.fileno())


def test_a_new_socket_has_none() -> None:
    with socket.socket(socket.AF_UNIX) as alone:
        assert not has_open_peer(alone.fileno())


def test_of_what_is_no_local_socket_nobody_tells() -> None:
    with socket.socket() as inet, pytest.raises(OSError, match="sock_diag"):
        has_open_peer(inet.fileno())
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(OSError, match="descriptor"):
        has_open_peer(reading)
