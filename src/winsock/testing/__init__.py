"""Help for tests of providers, layers and programs: `check_provider` and connected pairs."""

from __future__ import annotations

from winsock.testing.conformance import CHECKS, check_provider
from winsock.testing.pairs import Pair, World, through

__all__ = ["CHECKS", "Pair", "World", "check_provider", "through"]
