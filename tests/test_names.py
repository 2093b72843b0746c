"""The public names are there, come from where the table says, and cost nothing before they are asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import winsock


@pytest.mark.parametrize("name", winsock._NAMES)
def test_a_name_is_where_the_table_says(name: str) -> None:
    assert getattr(winsock, name) is getattr(import_module(winsock._NAMES[name]), name)


@pytest.mark.parametrize(("name", "value"), [("AF_INET6", 23), ("WSAECONNREFUSED", 10061), ("ProviderInfoAudit", 1)])
def test_constants_are_public(name: str, value: int) -> None:
    assert getattr(winsock, name) == value


@pytest.mark.parametrize("name", ["nothing", "NOTHING", "__path_of__", "name_of"])
def test_other_names_are_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(winsock, name)


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert winsock.__version__ == project["version"]


def test_dir_shows_the_names_and_the_constants() -> None:
    shown = set(dir(winsock))
    assert shown >= {*winsock._NAMES, "AF_INET", "WSAEWOULDBLOCK", "FD_READ", "SIO_BASE_HANDLE", "ProviderInfoAudit"}
    assert all(isinstance(getattr(winsock, name), int) for name in shown - set(winsock._NAMES))
    assert not [name for name in shown if name.startswith("_")]
    assert dir(winsock) == sorted(shown)


def test_a_star_brings_every_public_name() -> None:
    there: dict[str, object] = {}
    exec("from winsock import *", there)
    del there["__builtins__"]
    assert {name: getattr(winsock, name) for name in dir(winsock)} == there
    assert (there["AF_INET"], there["WSAEWOULDBLOCK"], there["recv"]) == (2, 10035, winsock.recv)


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, winsock; print([name for name in sys.modules if name.startswith('winsock.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_are_told_the_same_table() -> None:
    """The imports for type checkers name what the table names, in the same modules."""
    assert winsock.__file__ is not None
    tree = ast.parse(Path(winsock.__file__).read_text("utf-8"))
    told = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    starred = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) if node.names[0].name == "*"}
    untold = {name: module for name, module in winsock._NAMES.items() if told.get(name) != module}
    assert all(module in starred for module in untold.values())
    assert set(told) <= set(winsock._NAMES)
