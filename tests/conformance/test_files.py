"""The suite once more, where every connection is a file: nobody who goes on with Winsock can tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.layers import OwnHandles, ReadBytes, SameAddress
from winsock.dispatcher.redirector import as_file
from winsock.testing import CHECKS, World, through
from winsock.testing.pairs import LayerLike, Pair

CHAINS: dict[str, tuple[LayerLike, ...]] = {
    "own": (OwnHandles,),
    "address,own": (SameAddress, OwnHandles),
    "stream": (ReadBytes,),
}


class FileWorld(World):
    """Both ends of a connection are files."""

    def connected(self) -> Pair:
        client, server = super().connected()
        return Pair(as_file(client), as_file(server))


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Callable[[World], None], chain: str) -> None:
    with FileWorld(through(*CHAINS[chain])) as opened:
        check(opened)
