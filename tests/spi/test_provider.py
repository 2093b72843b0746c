"""The table of 30 functions, and the ground that providers stand on."""

from __future__ import annotations

import inspect

import pytest

from tests.spec.tables import order_tables
from winsock.abi import errors as e
from winsock.spi.provider import FUNCTIONS, ProcTable, Provider
from winsock.spi.upcalls import Upcalls


def test_the_functions_stand_in_the_documented_order() -> None:
    documented = [name.removeprefix("lp") for name in order_tables()["WSPPROC_TABLE"]]
    assert list(FUNCTIONS) == documented
    assert len(FUNCTIONS) == 30


def test_the_upcalls_are_the_documented_ones_in_their_order() -> None:
    documented = [name.removeprefix("lp") for name in order_tables()["WSPUPCALLTABLE"]]
    ours = [name for name in vars(Upcalls) if name.startswith("WPU")]
    assert ours == [*documented, "WPUCompleteOverlappedRequest"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_nobody_offers_answers_so(name: str) -> None:
    function = getattr(Provider(), name)
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    with pytest.raises(e.WinsockError) as caught:
        function(*(None for _ in needed))
    assert caught.value.winerror == e.WSAEOPNOTSUPP
    assert name in str(caught.value)


@pytest.mark.parametrize("name", [name for name in vars(Upcalls) if not name.startswith("_")])
def test_an_upcall_that_nobody_offers_answers_so(name: str) -> None:
    function = getattr(Upcalls(), name)
    with pytest.raises(e.WinsockError) as caught:
        function(*(None for _ in inspect.signature(function).parameters))
    assert caught.value.winerror == e.WSAEOPNOTSUPP


def test_a_table_holds_a_providers_own_methods() -> None:
    provider = Provider()
    table = ProcTable.of(provider)
    assert table.missing() == []
    assert table.WSPSend == provider.WSPSend


def test_a_copy_holds_the_same_objects() -> None:
    table = ProcTable.of(Provider())
    copy = table.copy()
    assert all(getattr(copy, name) is getattr(table, name) for name in FUNCTIONS)
    copy.WSPSend = print
    assert table.WSPSend is not print


def test_a_table_knows_what_it_lacks() -> None:
    table = ProcTable.of(Provider())
    del table.WSPSelect
    assert table.missing() == ["WSPSelect"]
    assert ProcTable.of(object()).missing() == list(FUNCTIONS)
