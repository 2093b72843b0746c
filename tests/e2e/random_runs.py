"""Runs scripts of socket calls bare and through a chain, holds the answers against each other, and makes a script that
shows a difference as short as it gets.

The bare run is made twice: a script that the kernel itself answers otherwise the second time proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.e2e.byte_chains import CHAINS, chain
from tests.e2e.harness import Finished, bare, supervising
from tests.e2e.oracle import EVERYTHING
from tests.e2e.random_calls import Script

WORLDS: dict[str, tuple[str, ...]] = {
    "trace": ("--layer", "trace"),
    "everything": ("--layer", str(EVERYTHING)),
    **{name: found.options for name, found in CHAINS.items()},
    "counted": chain("trace", "Count", "Pass", witnesses=[]).options,
}
"""What the program is run through: what tells, what forwards every call, what gets the bytes, and what makes handles of
its own."""
LONG_S = 3000.0
SHORTENING_LATE_S = 2
COPIES = 8
"""How often what differs is tried again: other programs on this machine take ports, too, and that may show once."""
MOST_ROUNDS = 12
MOST_CANDIDATES = 120

Answers = dict[str, list[str]]
"""What a script printed: of each step the answer, and what could be seen then."""


class Known(NamedTuple):
    """A difference that is one, and where it is held."""

    source: str
    worlds: tuple[str, ...]
    calls: tuple[str, ...]
    plain: str
    found: str
    ends: bool = False
    """Whether nothing that comes after it can be held against each other."""


KNOWN = (
    Known(
        "test_nonblocking: a relayed connect that fails late tells a reader of a reset; and by table each fails late",
        ("own",),
        ("read", "readv", "recv", "recvfrom", "recvmsg", "write", "writev", "send", "sendto", "sendmsg"),
        "-1 ECONNREFUSED",
        "-1 ECONNRESET",
    ),
    *(
        Known("what-a-program-can-tell.md", ("own",), ("connect", "sendto", "sendmsg"), plain, "-1 EINPROGRESS", True)
        for plain in ("-1 EAFNOSUPPORT", "-1 ENETUNREACH")
    ),
)


class Difference(NamedTuple):
    """A script that is answered otherwise, until there."""

    script: Script
    plain: list[str]
    found: list[str]

    def __str__(self) -> str:
        lines = [f"  {step} -> {answer} |{seen}" for step, answer, seen in self._steps()]
        return "\n".join([f"sequence {self.script.name}", *lines, f"but {' |'.join(self.found[-2:])}"])

    def _steps(self) -> list[tuple[str, str, str]]:
        return list(zip(self.script.steps, self.plain[::2], self.plain[1::2], strict=False))


class Stage:
    """The program, and a folder for what it printed."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def play(self, scripts: Sequence[Script], world: str | None = None, like: Answers | None = None) -> Answers:
        """What the scripts print; `like`: what they are to print."""
        words: list[str | Path] = [self._program]
        if like is not None:
            earlier = self._folder / "earlier"
            lines = (line for script in scripts for line in (f"sequence {script.name}", *like[script.name]))
            earlier.write_text("".join(f"{line}\n" for line in lines))
            words += [earlier, *self._patience]
        given = "".join(script.text for script in scripts).encode()
        if world is None:
            return _answers(bare(*words, input=given, timeout=LONG_S))
        with supervising(*words, options=WORLDS[world], input=given) as started:
            finished = started.wait(LONG_S)
        assert finished.events("layer-error") == []
        assert finished.truth["still_running"] == 0
        return _answers(finished)

    _patience: tuple[str, ...] = ()

    def differences(self, scripts: Sequence[Script], world: str) -> list[Difference]:
        """The scripts that are answered otherwise there, and again so, each cut behind the first difference."""
        return [seen for once in self._once(scripts, world) for seen in self._once(_copies(once.script), world)[:1]]

    def _once(self, scripts: Sequence[Script], world: str) -> list[Difference]:
        plain = self.play(scripts)
        again = self.play(scripts, like=plain)
        sound = [script for script in scripts if again[script.name] == plain[script.name]]
        found = self.play(sound, world, like=plain)
        pairs = ((script, plain[script.name], found.get(script.name, [])) for script in sound)
        return [cut for script, *both in pairs if (cut := _compare(world, script, *both)) is not None]

    def shortest(self, difference: Difference, world: str) -> Difference:
        """The same difference, or another, with fewer calls: what can be left out is."""
        self._patience = (str(SHORTENING_LATE_S),)
        try:
            for _ in range(MOST_ROUNDS):
                shorter = self._once(_shorter(difference.script), world)
                if not shorter:
                    break
                difference = min(shorter, key=lambda one: sum(map(len, one.script.steps)))
            return difference._replace(script=difference.script._replace(name="shortened"))
        finally:
            self._patience = ()


def _copies(script: Script) -> list[Script]:
    return [script._replace(name=f"{script.name}/{number}") for number in range(COPIES)]


def _answers(finished: Finished) -> Answers:
    answers: Answers = {}
    for line in finished.stdout.decode().splitlines():
        word, _, name = line.partition(" ")
        if word == "sequence":
            kept = answers[name] = []
        else:
            kept.append(line)
    assert (finished.status, finished.stderr) == (0, b""), f"{finished.text}, after {name}: {kept}"
    return answers


def _compare(world: str, script: Script, plain: list[str], found: list[str]) -> Difference | None:
    for at, (expected, answer) in enumerate(zip(plain, found, strict=False)):
        if expected == answer:
            continue
        known = _known(world, script.steps[at // 2], expected, answer)
        if known is None:
            end = at // 2 + 1
            return Difference(script._replace(steps=script.steps[:end]), plain[: 2 * end], found[: 2 * end])
        if known.ends:
            return None
    assert len(plain) == len(found), script.name
    return None


def _known(world: str, step: str, plain: str, found: str) -> Known | None:
    words = step.split()
    call = words[1] if words[0] in ("thread", "child") else words[0]
    return next(
        (
            known
            for known in KNOWN
            if world in known.worlds
            and call in known.calls
            and known.plain in plain
            and plain.replace(known.plain, known.found) == found
        ),
        None,
    )


def _shorter(script: Script) -> list[Script]:
    """The same with some of its steps left out: half of them, a quarter, and so on; or made without a thread."""
    steps, size, candidates = script.steps, len(script.steps), []
    while (size := size // 2) > 0:
        candidates += [steps[:at] + steps[at + size :] for at in range(0, len(steps), size)]
    for at, step in enumerate(steps):
        how, _, rest = step.partition(" ")
        if how in ("thread", "child"):
            candidates.append((*steps[:at], rest, *steps[at + 1 :]))
    return [Script(str(number), candidate) for number, candidate in enumerate(candidates[:MOST_CANDIDATES])]
