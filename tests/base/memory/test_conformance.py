"""The conformance suite over the simulated network: bare, slow, and under layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.layers import CopiedBytes, OwnHandles, PassThrough, SameAddress
from winsock.abi.constants import AF_INET, AF_INET6
from winsock.base.memory import Conditions, Network
from winsock.catalog.entries import Catalog, LayerSpec
from winsock.spi.layer import Layer
from winsock.testing import CHECKS, World, check_provider

LAYERS: dict[str, tuple[type[Layer], ...]] = {
    "bare": (),
    "pass": (PassThrough,),
    "bytes,address": (CopiedBytes, SameAddress),
    "own": (OwnHandles,),
    "own,bytes": (OwnHandles, CopiedBytes),
}


def catalog(conditions: Conditions = Conditions(), *layers: type[Layer]) -> Catalog:  # noqa: B008
    """A network of one host, which the checks reach on its loopback."""
    network = Network(7, conditions)
    network.host("10.0.0.1", "fd00::1")
    specs = [
        LayerSpec(layer.name, f"{layer.__module__}:{layer.__qualname__}", ifs_handles=layer.ifs_handles)
        for layer in layers
    ]
    return network.catalog().with_layers(specs)


def test_it_passes_in_one_line() -> None:
    check_provider(catalog=catalog())


@pytest.mark.parametrize("family", [AF_INET, AF_INET6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Callable[[World], None], layers: str, family: int) -> None:
    with World(catalog(Conditions(), *LAYERS[layers]), family) as world:
        check(world)
