"""python -m tests.programs.edges [CASE...]: the cases, each in a process of its own; a line of JSON for each.

What a case prints must not hang on time, or on numbers that differ from run to run: who runs this compares it.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from tests.programs.edges import CASES
from tests.programs.edges.words import CASE_S, say


def run(name: str) -> dict[str, object]:
    """A case in a child of its own; both of its streams are what it printed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(CASE_S)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(reading)
        os.close(writing)
        CASES[name]()
        sys.exit()
    os.close(writing)
    with open(reading, "rb") as stream:
        text = stream.read().decode()
    return {"name": name, "status": os.waitpid(child, 0)[1], "text": text}


if __name__ == "__main__":
    for chosen in sys.argv[1:] or CASES:
        say(json.dumps(run(chosen)))
