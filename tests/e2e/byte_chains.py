"""The chains that real programs are run through, and what their layers must have seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.e2e.depot import Flow, flows_told
from tests.e2e.harness import Finished

LAYERS = Path(__file__).parent / "layers_bytes.py"


class Chain(NamedTuple):
    """Layers, the uppermost first, and those among them that tell what they saw."""

    options: tuple[str, ...]
    witnesses: tuple[str, ...]
    digests: bool = True


def chain(*layers: str, witnesses: Sequence[str], digests: bool = True) -> Chain:
    """A chain of layers of ours, in small letters, and of those of `layers_bytes`."""
    named = (layer if layer.islower() else f"{LAYERS}:{layer}" for layer in layers)
    options = tuple(word for name in named for word in ("--layer", name))
    return Chain(options, tuple(witnesses), digests)


CHAINS = {
    "one": chain("Pass", witnesses=["pass"]),
    "three": chain("Flip", "Within", "Flip", witnesses=["within"]),
    "count": chain("Count", witnesses=["count"], digests=False),
    "mixed": chain("trace", "Pass", "Same", "Under", "Same", witnesses=["pass", "under"]),
    "own": chain("trace", "Pass", "Own", "Same", "Under", witnesses=["pass", "own", "under"]),
}
"""A layer that reads; one that reads what two others make of it; one that only counts; layers that get the bytes and
layers that do not; a provider with handles of its own between them."""
FRAMED = chain("Pass", "Frame", "Unframe", "Under", witnesses=["pass", "under"])
"""Layers that keep bytes back and make other counts of them."""


def saw_everything(
    finished: Finished, through: Chain, expected: Sequence[Flow], role: str = "connect", lingers: bool = False
) -> None:
    """Every byte went through every layer, and no connection went round them."""
    for witness in through.witnesses:
        told = flows_told(finished, witness, role)
        assert Counter(told) == Counter(expected if through.digests else [flow.counts for flow in expected]), witness
    nothing_passed(finished, lingers)


def nothing_passed(finished: Finished, lingers: bool = False) -> None:
    """The truth line says that every TCP socket was layered, and no layer failed; some leave processes behind."""
    truth = finished.truth
    datagrams = sum(count for reason, count in truth["passed"].items() if reason.startswith("udp"))
    assert sum(truth["passed"].values()) == datagrams
    assert truth["layered"] == truth["seen"] - datagrams > 0
    assert truth["refused"] == {}
    assert lingers or truth["still_running"] == 0
    assert finished.events("layer-error") == []
