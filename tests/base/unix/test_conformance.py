"""The suite that every provider passes, as far as local streams have what it is about."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from winsock.abi import constants as c
from winsock.abi.sockaddr import Sockaddr, SockaddrUn
from winsock.testing import CHECKS, World


class Local(World):
    """The world of the conformance suite, at abstract names."""

    def __init__(self) -> None:
        super().__init__(family=c.AF_UNIX)

    @property
    def anywhere(self) -> Sockaddr:
        """A name that nobody has."""
        return SockaddrUn(f"\0winsock-{os.getpid()}-{next(numbers)}".encode())


numbers = itertools.count()
NO_DATAGRAMS = "there are no datagrams"
NOT_HERE = {
    "check_tables_are_whole": NO_DATAGRAMS,
    "check_datagrams_keep_their_bounds": NO_DATAGRAMS,
    "check_long_datagrams_are_cut": NO_DATAGRAMS,
    "check_nonblocking_calls_do_not_wait": NO_DATAGRAMS,
    "check_options_keep_their_values": NO_DATAGRAMS,
    "check_select_spans_protocols": NO_DATAGRAMS,
    "check_abortive_close_resets": "the kernel resets a local stream only where data is unread",
    "check_addresses_are_converted": "any text is a path",
}


SUITE = [check for check in CHECKS if check.__name__ not in NOT_HERE]


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
def test_conformance(check: Callable[[World], None]) -> None:
    with Local() as world:
        check(world)
