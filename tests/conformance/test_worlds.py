"""One suite in many worlds: the bare base provider, layers that pass everything, chains of two."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.layers import CopiedBytes, OwnHandles, PassThrough, ReadBytes, SameAddress, Untouched
from winsock.abi.constants import AF_INET, AF_INET6
from winsock.layers.trace import Trace
from winsock.testing import CHECKS, World, through
from winsock.testing.pairs import LayerLike, has_ipv6

WORLDS: dict[str, tuple[LayerLike, ...]] = {
    "inet": (),
    "pass": (PassThrough,),
    "pass,pass": (PassThrough, PassThrough),
    "address": (SameAddress,),
    "bytes,address": (CopiedBytes, SameAddress),
    "trace,pass": (Trace, PassThrough),
    "own": (OwnHandles,),
    "own,own,own": (OwnHandles, OwnHandles, OwnHandles),
    "address,own": (SameAddress, OwnHandles),
    "own,bytes": (OwnHandles, CopiedBytes),
    "stream": (Untouched,),
    "stream,stream,stream": (Untouched, ReadBytes, ReadBytes),
    "address,stream,own,pass": (SameAddress, ReadBytes, OwnHandles, PassThrough),
}


@pytest.mark.parametrize("family", [AF_INET, AF_INET6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Callable[[World], None], world: str, family: int) -> None:
    if family == AF_INET6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with World(through(*WORLDS[world]), family) as opened:
        check(opened)
