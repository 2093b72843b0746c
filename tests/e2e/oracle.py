"""The oracle of the hard tests: the same program, bare on the same kernel, which prints every answer that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import Finished, bare, supervised
from winsock.supervisor import rights

EVERYTHING = Path(__file__).parent / "layers_everything.py"
BYTES = Path(__file__).parent / "layers_bytes.py"
CHAINS: dict[str, tuple[str | Path, ...]] = {
    "trace": (),
    "everything": ("--layer", EVERYTHING),
    "bytes": ("--layer", "trace", "--layer", f"{BYTES}:Pass"),
}
"""What the programs are run under: the layer of every day, one through which all goes that can be carried, and one that
gets the bytes, so that every connection is relayed."""

FORBIDDEN = 77
"""The status of a program which found that this kernel forbids what it is about."""
UNREADABLE = "its process cannot be looked into"
"""Why a call is passed, in the truth line, where the kernel does not let the supervisor look."""

_CAP_SYS_PTRACE = 19


def same_answers(program: Path, *arguments: str | Path, chain: str = "trace", status: int = 0) -> Finished:
    """Run a program bare and supervised, and find every line and the status equal."""
    plain = bare(program, *arguments)
    if plain.status == FORBIDDEN:
        pytest.skip(f"this kernel or container forbids it: {plain.text.strip()}")
    assert (plain.status, plain.stderr) == (status, b"")
    assert plain.stdout
    ran = supervised(program, *arguments, options=CHAINS[chain])
    assert ran.stderr == b""
    assert ran.stdout.decode().splitlines() == plain.stdout.decode().splitlines()
    assert ran.same == plain.same
    return ran


def may_look_everywhere() -> bool:
    """Whether we have CAP_SYS_PTRACE: without it processes of other users, and such as hide, cannot be looked into."""
    return bool(rights.of("thread-self").capabilities >> _CAP_SYS_PTRACE & 1)
