"""What the tests of relaying stand on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from winsock.supervisor.relaying.doors import Doors


@pytest.fixture(scope="session")
def opened() -> Iterator[Doors]:
    """Doors; those of a run are never closed, and end with its supervisor."""
    made = Doors()
    yield made
    for door in made._doors.values():
        for held in (door._listener, door._filler, door._refuser):
            held.close()
    if made._questions is not None:
        made._questions.close()
