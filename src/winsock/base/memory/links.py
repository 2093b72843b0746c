"""What becomes of packets on their way: when each arrives, or that it does not.

A link is one direction between two hosts. It has its own chance, by the network's seed and the names of the two, so
that the fate of a packet depends on what was sent over this link before it, and on nothing else.
"""

from __future__ import annotations

from math import inf
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host

LOST: tuple[float, ...] = ()


class Conditions(NamedTuple):
    """How a link treats packets. Times are in seconds, chances from 0 to 1."""

    latency: float = 0.0
    jitter: float = 0.0
    """Up to so much more, without overtaking."""
    loss: float = 0.0
    duplicate: float = 0.0
    """The chance to arrive twice."""
    reorder: float = 0.0
    """The chance to be held back so that others overtake: for up to twice the latency and jitter, at least 1 ms."""
    bandwidth: float | None = None
    """Bytes a second; what comes faster waits in line."""
    mtu: int = 1500
    """Bytes of a packet. Longer datagrams go in parts, each with its own chance to be lost; streams fit theirs."""


def checked(conditions: Conditions) -> Conditions:
    """The conditions, where there can be such; raises ValueError for the first number that makes no sense."""
    for name in ("latency", "jitter"):
        seconds = getattr(conditions, name)
        if not 0 <= seconds < inf:
            raise ValueError(f"{name}: {seconds} is no number of seconds to be late")
    for name in ("loss", "duplicate", "reorder"):
        chance = getattr(conditions, name)
        if not 0 <= chance <= 1:
            raise ValueError(f"{name}: {chance} is no chance, which is from 0 to 1")
    if conditions.bandwidth is not None and not conditions.bandwidth > 0:
        raise ValueError(f"bandwidth: nothing ever passes at {conditions.bandwidth} bytes a second")
    if conditions.mtu < 1:
        raise ValueError(f"mtu: a packet has a byte at least, not {conditions.mtu}")
    return conditions


class Link:
    """One direction between two hosts."""

    __slots__ = ("_chance", "_conditions", "_free_at", "_latest", "blocked", "latency", "plain", "source", "target")

    def __init__(self, source: Host, target: Host, conditions: Conditions, chance: Random) -> None:
        self.source = source
        self.target = target
        self._chance = chance
        self._free_at = 0.0
        """When the last packet will have left."""
        self._latest = 0.0
        """When the last packet that was not held back arrives."""
        self.blocked = 0
        """By how many partitions."""
        self.change(conditions)

    @property
    def conditions(self) -> Conditions:
        """How packets are treated."""
        return self._conditions

    def change(self, conditions: Conditions) -> None:
        """From now on; what is under way arrives as it would have."""
        self._conditions = checked(conditions)
        self.latency = conditions.latency
        self.plain = not (
            conditions.jitter or conditions.loss or conditions.duplicate or conditions.reorder or conditions.bandwidth
        )
        """Whether nothing but the latency matters, so that whoever is in a hurry may do it himself."""

    def arrivals(self, now: float, size: int) -> tuple[float, ...]:
        """When a packet of so many bytes arrives: once, twice, or not at all."""
        conditions = self._conditions
        if conditions.bandwidth is not None:
            self._free_at = now = max(now, self._free_at) + size / conditions.bandwidth
        if conditions.loss and self._is_lost(size):
            return LOST
        once = self._arrival(now)
        if conditions.duplicate and self._chance.random() < conditions.duplicate:
            return once, self._arrival(now)
        return (once,)

    def _is_lost(self, size: int) -> bool:
        parts = max(1, -(-size // self._conditions.mtu))
        return any(self._chance.random() < self._conditions.loss for _ in range(parts))

    def _arrival(self, now: float) -> float:
        conditions = self._conditions
        arrival = now + conditions.latency
        if conditions.jitter:
            arrival += conditions.jitter * self._chance.random()
        if conditions.reorder and self._chance.random() < conditions.reorder:
            return arrival + max(0.001, 2 * (conditions.latency + conditions.jitter)) * self._chance.random()
        self._latest = arrival = max(arrival, self._latest)
        return arrival
