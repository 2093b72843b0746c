"""Installers that are killed at random points; the catalog must open after each, and be whole.

    python -m tests.catalog.killing TIMES SEED

Each installer is a process of its own, which changes the catalog again and again until it is killed. One change
installs a layer with its four chains, removes one, or turns the order round, so that half of a change shows.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from winsock.abi.guids import GUID
from winsock.catalog import install, mending, store
from winsock.catalog.entries import Catalog
from winsock.catalog.install import Source

LAYERS = 3
LONGEST_S = 0.02
OF_EACH = 5
"""Entries of a layer: its own, and a chain over each base protocol."""
BUILT_IN = len(Catalog())


def work() -> None:
    """Change the catalog until the end comes."""
    while True:
        for number in range(LAYERS):
            store.change(lambda all, n=number: all._replace(native=toggled(all.native, n)))  # type: ignore[misc]
        store.change(lambda all: all._replace(native=turned(all.native)))


def toggled(catalog: Catalog, number: int) -> Catalog:
    """The catalog with a layer where it was without, and the other way round."""
    guid = GUID(number, 0, 0, b"to be or")
    if any(entry.info.ProviderId == guid for entry in catalog):
        return install.deinstall(catalog, guid)
    return install.install_with_chains(catalog, guid, Source("l:L"), f"l{number}", 0)[0]


def turned(catalog: Catalog) -> Catalog:
    return install.order(catalog, [entry.info.dwCatalogEntryId for entry in reversed(list(catalog))])


def check() -> int:
    """Whether the catalog is one that a change ended with; its number of layers."""
    catalog = store.read().native
    layers = sum(entry.info.chain_length == 0 for entry in catalog)
    chains = [entry for entry in catalog if entry.info.chain_length > 1]
    assert len(catalog) == BUILT_IN + OF_EACH * layers, [entry.info.szProtocol for entry in catalog]
    assert [mending.problem_of(catalog, entry.info) for entry in chains] == [None] * len(chains)
    return layers


def kill_one(chance: random.Random) -> None:
    """One installer's life; now and then it is the one that makes the file."""
    if chance.random() < 0.25:
        store.reset()
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    time.sleep(chance.random() * LONGEST_S)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the installer failed by itself: {status}"


def main(times: int, seed: int) -> None:
    chance = random.Random(seed)
    seen: dict[int, int] = {}
    for _ in range(times):
        kill_one(chance)
        layers = check()
        seen[layers] = seen.get(layers, 0) + 1
    print(dict(sorted(seen.items())))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
