"""Every function of the API is called as its row in `abi.calls` says."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module

import pytest

import winsock.api
from winsock.abi.calls import ROWS, Call


def _functions() -> dict[str, Callable[..., object]]:
    return {
        name: value
        for module in pkgutil.iter_modules(winsock.api.__path__, "winsock.api.")
        for name, value in vars(import_module(module.name)).items()
        if callable(value) and getattr(value, "__module__", "") == module.name and not name.startswith("_")
    }


OF_PROVIDERS = {
    *("WSAAdvertiseProvider", "WSAUnadvertiseProvider", "WSAProviderCompleteAsyncCall"),
    "WPUCompleteOverlappedRequest",
}
"""What Ws2_32 exports for providers."""

ROWS_HERE = sorted(
    {
        row.function: row
        for row in ROWS
        if row.function in _functions() and (row.part.startswith(("api", "spi-config")) or row.function in OF_PROVIDERS)
    }.items()
)


@pytest.mark.parametrize(("name", "row"), ROWS_HERE)
def test_parameters_are_those_of_the_table(name: str, row: Call) -> None:
    signature = inspect.signature(_functions()[name])
    spelled = ", ".join(
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in signature.parameters.values()
    )
    assert spelled == row.parameters


def test_the_functions_of_this_floor_are_in_the_table() -> None:
    strangers = set(_functions()) - {name for name, _ in ROWS_HERE}
    assert strangers <= {"address_for", "address_of"}


def test_every_function_names_its_page() -> None:
    for name, row in ROWS_HERE:
        assert "nf-" in (_functions()[name].__doc__ or ""), name
        assert row.page.rpartition("/")[2] in (_functions()[name].__doc__ or "") or name.startswith("Inet"), name
