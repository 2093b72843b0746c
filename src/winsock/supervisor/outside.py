"""Daemons that run already, and that a program is known to hand its work to: what they connect is not ours to see.

Nothing can be attached to a running process, so the best that can be done is to say so before somebody wonders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple


class Helper(NamedTuple):
    """A daemon: which programs use it, how /proc calls it, and what to do."""

    programs: tuple[str, ...]
    daemon: str
    advice: str


HELPERS = (
    Helper(("wine", "wine64"), "wineserver", "end it first (wineserver -k), or use a WINEPREFIX of its own"),
    Helper(("firefox",), "firefox", "start one of its own: firefox --no-remote --profile DIR"),
    Helper(("chromium", "chrome", "google-chrome"), "chrom", "start one of its own: --user-data-dir=DIR"),
    Helper(("code", "codium"), "code", "start one of its own: --user-data-dir DIR"),
)


def warnings(argv: Sequence[str], ours: Callable[[], Collection[int]]) -> list[str]:
    """A line for each daemon that the program would use and that runs outside; `ours`: the processes of the run."""
    name = os.path.basename(argv[0])
    helpers = [helper for helper in HELPERS if _uses(helper, name)]
    return [
        f"winsock: a {command} (process {process}) already runs outside: what it connects is not seen; {helper.advice}"
        for helper in helpers
        for process, command in _running(helper.daemon, ours())
    ]


def _uses(helper: Helper, name: str) -> bool:
    """By the name of the program; Windows programs are run by Wine."""
    windows = name.lower().endswith(".exe") and helper.daemon == "wineserver"
    return windows or any(name == program or name.startswith(program + "-") for program in helper.programs)


def _running(daemon: str, ours: Collection[int]) -> list[tuple[int, str]]:
    """The first living process of that name, of our user and not of the run; more of them are no news."""
    for entry in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{entry}/stat", "rb", 0) as file:
                head, _, rest = file.read(512).rpartition(b") ")
            owner = os.stat(f"/proc/{entry}").st_uid
        except OSError:
            continue
        command = head.partition(b"(")[2].decode(errors="replace")
        if command.startswith(daemon) and rest[:1] not in b"ZX" and owner == os.getuid() and entry not in ours:
            return [(entry, command)]
    return []
