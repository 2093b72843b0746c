"""Many connections at once, and nothing lost, nothing left."""

from __future__ import annotations

import pytest

from tests.dispatcher.drivers.machines import Counting
from tests.dispatcher.drivers.storm import Chopping, Layers, descriptors, storm
from tests.dispatcher.drivers.test_relay import Passing
from winsock.dispatcher.drivers import lane

CHAINS: dict[str, Layers] = {
    "read": lambda: [Passing()],
    "spliced": lambda: [Counting()],
    "in other pieces": lambda: [Chopping(), Counting(), Chopping()],
}


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_every_byte_of_many_connections(layers: Layers) -> None:
    storm(layers, 32, 16, 10)  # threads and pipes that are kept
    before = descriptors() - 2 * lane.PIPES.kept
    assert storm(layers, 150, 16, 8 << 20) == []
    assert descriptors() - 2 * lane.PIPES.kept <= before
