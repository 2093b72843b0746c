"""The conformance suite passes what is right, and names what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from winsock.abi.constants import AF_INET, SO_RCVTIMEO, SOL_SOCKET
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.api import options, transfer
from winsock.spi.layer import Layer
from winsock.spi.provider import ReadBuffer
from winsock.testing import CHECKS, World, check_provider, through
from winsock.testing import conformance as suite


class Innocent(Layer):
    """Changes nothing."""


class Greedy(Layer):
    """Tells that everything was sent, and sends all but the last byte."""

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        data = b"".join(buffers)
        self.next.WSPSend(s, (data[:-1],), flags)
        return len(data)


class Sulky(Layer):
    """Refuses every connection."""

    def connecting(self, address: Sockaddr) -> None:
        raise WinsockError(WSAEINVAL, "not today")


def test_the_base_provider_passes() -> None:
    check_provider()


def test_a_layer_that_changes_nothing_passes_in_one_line() -> None:
    check_provider(Innocent)


def test_an_import_path_is_as_good_as_a_class() -> None:
    check_provider(f"{Innocent.__module__}:Innocent", Innocent)


def test_a_layer_that_fails_is_named_by_check_and_family() -> None:
    with pytest.raises(AssertionError, match=r"check_streams_carry_bytes_both_ways \(IPv4\): unexpected .*not today"):
        check_provider(Sulky)


def test_a_layer_that_loses_bytes_does_not_pass() -> None:
    def bounded(world: World) -> None:
        pair = world.connected()
        options.setsockopt(pair.server, SOL_SOCKET, SO_RCVTIMEO, 50)
        transfer.send(pair.client, b"four")
        assert transfer.recv(pair.server, 4) == b"four", "a byte is missing"

    catalog = through(Greedy)
    with pytest.raises(AssertionError, match="a byte is missing"):
        suite._run(bounded, catalog, AF_INET)


def test_checks_that_do_not_apply_are_left_out() -> None:
    check_provider(Sulky, without=[check.__name__ for check in CHECKS if "tables" not in check.__name__])


def test_leaving_out_what_is_not_there_is_an_error() -> None:
    with pytest.raises(AssertionError, match="there is no check_nothing"):
        check_provider(without=["check_nothing"])


def test_every_check_of_the_module_is_run() -> None:
    written = {name for name in vars(suite) if name.startswith("check_")} - {"check_provider"}
    assert written == {check.__name__ for check in CHECKS}
