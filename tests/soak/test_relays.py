"""5,000 relayed connections: every byte, and nothing that grows."""

from __future__ import annotations

import gc

import pytest

from tests.dispatcher.drivers.storm import Layers, descriptors, memory_kib, storm
from tests.dispatcher.drivers.test_storm import CHAINS
from winsock.dispatcher.drivers import lane

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

CONNECTIONS = 5_000
SPARE_KIB = 20_000


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_thousands_of_connections_leave_nothing_behind(layers: Layers) -> None:
    storm(layers, 500, 50, 2 << 20)
    gc.collect()
    before = descriptors() - 2 * lane.PIPES.kept, memory_kib()
    assert storm(layers, CONNECTIONS, 50, 2 << 20) == []
    gc.collect()
    assert descriptors() - 2 * lane.PIPES.kept <= before[0]
    assert memory_kib() - before[1] <= SPARE_KIB
