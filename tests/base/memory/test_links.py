"""What becomes of packets on a link."""

from __future__ import annotations

import itertools
import math

import pytest

from winsock.base.memory.hosts import Host
from winsock.base.memory.links import Conditions, Link
from winsock.base.memory.network import Network
from winsock.core.chance import source

MANY = 4000


def link(**conditions: float | int) -> Link:
    network = Network()
    one, other = Host(network, "one", (), 1, 1), Host(network, "other", (), 1, 1)
    return Link(one, other, Conditions(**conditions), source(7, "test"))  # type: ignore[arg-type]


def share_of(many: list[tuple[float, ...]], count: int) -> float:
    return sum(len(arrivals) == count for arrivals in many) / len(many)


def test_a_packet_arrives_after_the_latency() -> None:
    assert link(latency=0.25).arrivals(1.0, 100) == (1.25,)


def test_jitter_delays_and_never_overtakes() -> None:
    jittery = link(latency=1.0, jitter=0.5)
    arrivals = [jittery.arrivals(n / 1000, 100)[0] for n in range(MANY)]
    assert arrivals == sorted(arrivals)
    assert all(1.0 <= arrival - n / 1000 <= 1.5 for n, arrival in enumerate(arrivals))
    assert len(set(arrivals)) > 10


@pytest.mark.parametrize("chance", [0.05, 0.5])
def test_losses_are_as_frequent_as_they_should_be(chance: float) -> None:
    lossy = link(loss=chance)
    assert share_of([lossy.arrivals(0.0, 100) for _ in range(MANY)], 0) == pytest.approx(chance, abs=0.03)


def test_a_long_packet_is_lost_with_any_of_its_parts() -> None:
    lossy = link(loss=0.1, mtu=1000)
    assert share_of([lossy.arrivals(0.0, 5000) for _ in range(MANY)], 0) == pytest.approx(1 - 0.9**5, abs=0.03)


def test_some_arrive_twice() -> None:
    doubling = link(duplicate=0.3, jitter=0.1)
    many = [doubling.arrivals(0.0, 100) for _ in range(MANY)]
    assert share_of(many, 2) == pytest.approx(0.3, abs=0.03)
    assert share_of(many, 0) == 0


def test_some_are_overtaken() -> None:
    shuffling = link(latency=0.01, reorder=0.2)
    arrivals = [shuffling.arrivals(n / 1000, 100)[0] for n in range(MANY)]
    late = sum(after < before for before, after in itertools.pairwise(arrivals))
    assert 0.1 * MANY < late < 0.3 * MANY


def test_what_comes_faster_than_the_bandwidth_waits_in_line() -> None:
    narrow = link(bandwidth=1000.0, latency=1.0)
    assert [narrow.arrivals(0.0, 500)[0] for _ in range(3)] == [1.5, 2.0, 2.5]
    assert narrow.arrivals(10.0, 500) == (11.5,)


def test_conditions_change_for_what_comes_later() -> None:
    changing = link()
    assert changing.arrivals(0.0, 100) == (0.0,)
    changing.change(changing.conditions._replace(latency=1.0))
    assert changing.arrivals(0.0, 100) == (1.0,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency": -0.1},
        {"latency": math.inf},
        {"latency": math.nan},
        {"jitter": -1},
        {"loss": 1.5},
        {"duplicate": -0.1},
        {"reorder": math.nan},
        {"bandwidth": 0},
        {"bandwidth": -1},
        {"mtu": 0},
    ],
)
def test_conditions_that_cannot_be(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        Network(conditions=Conditions(**wrong))  # type: ignore[arg-type]
    network = Network()
    one, other = network.host("10.0.0.1"), network.host("10.0.0.2")
    with pytest.raises(ValueError, match=name):
        network.link(one, other, **wrong)  # type: ignore[arg-type]
