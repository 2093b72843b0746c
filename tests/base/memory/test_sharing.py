"""Two binds to one port of a simulated host, for every combination of options and addresses."""

from __future__ import annotations

import pytest

from tests.base.inet.test_sharing import OPTIONS, TABLE
from tests.base.memory.land import ALICE, Land, refused
from tests.spec.tables import Row
from winsock.abi.constants import SO_REUSEADDR, SOL_SOCKET
from winsock.abi.errors import WSAEACCES, WinsockError
from winsock.api import options, sockets

HOSTS = {"wildcard": "0.0.0.0", "specific": ALICE}


@pytest.mark.parametrize("kind", ["stream", "messages"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(list(row.values())[1:5]))
def test_second_binds(row: Row, kind: str) -> None:  # OPT-013, OPT-015, BL-05, BL-40
    with Land() as land:
        first, second = getattr(land, kind)(land.alice), getattr(land, kind)(land.alice)
        for s, option in ((first, row["first_option"]), (second, row["second_option"])):
            if option != "none":
                options.setsockopt(s, SOL_SOCKET, OPTIONS[option] or 0, 1)
        sockets.bind(first, (HOSTS[row["first_address"]], 80))
        result = "success"
        try:
            sockets.bind(second, (HOSTS[row["second_address"]], 80))
        except WinsockError as error:
            result = error.name
        assert result == row["second_bind_result"]


def test_what_counts_was_set_at_the_bind() -> None:  # OPT-011
    with Land() as land:
        first, second = land.stream(land.alice), land.stream(land.alice)
        sockets.bind(first, (ALICE, 80))
        for s in (first, second):
            options.setsockopt(s, SOL_SOCKET, SO_REUSEADDR, 1)
        refused(WSAEACCES, lambda: sockets.bind(second, (ALICE, 80)))
