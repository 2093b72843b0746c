"""`winsock.host` hands out one of the twins, which have the same functions."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from tests.host.conftest import Twin, is_compiled
from tests.puppet import ROOT
from winsock import host as chosen

FUNCTIONS = (
    "answer",
    "close_each",
    "connect",
    "guarded",
    "identity",
    "kind",
    "make",
    "name",
    "network",
    "read_memory",
    "receive",
    "same",
    "take",
    "valid",
    "write_memory",
)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_twins_have_the_same_functions(host: Twin, function: str) -> None:
    assert callable(getattr(host, function))
    with pytest.raises(TypeError):
        getattr(host, function)(*[0] * 9)


def test_nothing_is_handed_out_that_is_not_tested_here() -> None:
    offered = {name for name, value in vars(chosen).items() if inspect.isroutine(value)}
    assert offered == set(FUNCTIONS)
    assert [name for name, value in vars(chosen).items() if inspect.isclass(value)] == ["Association"]


def test_python_is_chosen_on_request(host: Twin) -> None:
    """What is asked for is what there is."""
    program = "from winsock import host; print(host.COMPILED, host.receive.__module__)"
    environment = {"PYTHONPATH": str(ROOT / "src"), "WINSOCK_PURE": str(int(not is_compiled(host)))}
    run = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == (f"{is_compiled(host)} {host.__name__}", "")
