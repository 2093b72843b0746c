"""Both ends of connections in one program, which prints every answer that it gets: see `__main__`."""

from tests.programs.edges import calls, ends, processes, rare, waiting
from tests.programs.edges.words import CASES

__all__ = ["CASES", "calls", "ends", "processes", "rare", "waiting"]
