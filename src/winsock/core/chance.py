"""Chance by seed: one source for each purpose, so that a draw more at one place changes nothing at another."""

from __future__ import annotations

from random import Random
from typing import TypeAlias

Seed: TypeAlias = int | str


def source(seed: Seed, purpose: str) -> Random:
    """The random numbers of a purpose. The same seed and purpose give the same numbers, on every machine."""
    return Random(f"{seed}/{purpose}")
