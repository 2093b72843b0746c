"""The house keeps its floors: imports go strictly down, nothing is in a cycle, functions and files stay small."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "winsock"

FLOORS = {
    "_hot": 0,
    "abi": 0,
    "host": 1,
    "wire": 1,
    "core": 1,
    "spi": 2,
    "overlapped": 3,
    "catalog": 3,
    "base": 4,
    "layers": 4,
    "names": 4,
    "dispatcher": 5,
    "api": 6,
    "kernel": 6,
    "testing": 7,
    "facade": 7,
    "supervisor": 7,
    "cli": 8,
}
"""A package may import from the packages below its floor, and from itself."""

APART = ("base", "layers", "names")
"""Packages whose members do not import each other: each is found by its import path. Beside `trace.py` a
`trace_text.py` is part of the same member."""

COMMON = {"winsock.base.handover"}
"""What several of them stand on."""

STANDS_ON = {"unix": "inet", "hyperv": "inet"}
"""Sockets of the same kernel, which differ from the internet's in little but their addresses."""

FINDS_BY_PATH = ("dispatcher", "kernel")
"""Packages that never import base providers, layers or name spaces: a stranger's and ours are equals."""

TABLES = {
    "abi/calls.py",
    "abi/constants.py",
    "abi/errors.py",
    "abi/guids.py",
    "abi/ioctls.py",
    "abi/ntstatus.py",
    "abi/options.py",
    "abi/structures.py",
    "abi/wskdefs.py",
}
"""Pure tables, which may be long."""

PURE = ("wire", "core")
"""Packages without sockets, threads and clocks."""
NOT_PURE = {"socket", "select", "selectors", "os", "threading", "time", "subprocess", "asyncio"}

LONGEST_FUNCTION = 60
LONGEST_FILE = 500


class Module:
    """One source file, parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.relative = path.relative_to(SOURCE).as_posix()
        parts = ("winsock", *path.relative_to(SOURCE).with_suffix("").parts)
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.package = parts[1] if len(parts) > 2 else ""
        self.text = path.read_text("utf-8")
        self.tree = ast.parse(self.text)

    def imports(self, *, at_run_time: bool = False) -> Iterator[str]:
        """Every module named in an import; on request without those for type checkers, or within functions."""
        for node in _unconditional(self.tree) if at_run_time else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if (node.module, alias.name) == ("winsock", "__version__"):
                        continue
                    submodule = f"{node.module}.{alias.name}"
                    yield submodule if submodule in MODULES else node.module

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node


def _unconditional(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _unconditional(node)


MODULES: dict[str, Module] = {}
for _path in sorted(SOURCE.rglob("*.py")):
    _module = Module(_path)
    MODULES[_module.name] = _module
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.relative)


def _package_of(imported: str) -> str | None:
    """The package of ours that an import reaches into, or None for the standard library."""
    if imported.split(".")[0] != "winsock":
        return None
    parts = imported.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_package_has_a_floor() -> None:
    assert {module.package for module in MODULES.values()} - {""} <= set(FLOORS)


@each_module
def test_imports_go_down(module: Module) -> None:
    if not module.package:
        return  # the public names are handed out at the top
    for imported in module.imports():
        package = _package_of(imported)
        if package is None or package == module.package:
            continue
        assert package != "", f"{module.name} imports the public names; import {imported} from where it lives"
        assert FLOORS[package] < FLOORS[module.package], f"{module.name} imports {imported}, which is not below it"


@each_module
def test_siblings_are_strangers(module: Module) -> None:
    if module.package not in APART or module.name.count(".") < 2:
        return
    own = module.name.split(".")[2]
    for imported in module.imports():
        if _package_of(imported) == module.package and imported not in COMMON:
            sibling = imported.split(".")[2]
            known = (own, STANDS_ON.get(own))
            assert sibling in known or sibling.startswith(f"{own}_"), f"{module.name} imports its sibling {imported}"


@each_module
def test_providers_are_found_by_their_path(module: Module) -> None:
    if module.package in FINDS_BY_PATH:
        assert not {_package_of(imported) for imported in module.imports()} & set(APART)


@each_module
def test_pure_packages_touch_nothing(module: Module) -> None:
    if module.package in PURE:
        touched = {imported.split(".")[0] for imported in module.imports()} & NOT_PURE
        assert not touched, f"{module.name} is a machine without I/O: {touched} belong into the shell around it"


@each_module
def test_a_library_needs_nothing_but_python(module: Module) -> None:
    known = sys.stdlib_module_names | {"winsock", "_typeshed"}
    assert not {imported.split(".")[0] for imported in module.imports()} - known


@each_module
def test_modules_begin_with_a_caption(module: Module) -> None:
    caption = (ast.get_docstring(module.tree) or "").partition("\n")[0]
    assert caption or not module.text, f"{module.relative} has no caption"


@each_module
def test_functions_and_files_are_small(module: Module) -> None:
    for function in module.functions():
        assert _lines(function) <= LONGEST_FUNCTION, f"{module.relative}: {function.name} has {_lines(function)} lines"
    if module.relative not in TABLES:
        length = len(module.text.splitlines())
        assert length <= LONGEST_FILE, f"{module.relative} has {length} lines"


def test_nothing_is_imported_in_a_circle() -> None:
    graph = {
        name: {imported for imported in module.imports(at_run_time=True) if imported in MODULES and imported != name}
        for name, module in MODULES.items()
    }
    assert _cycle(graph) is None


def test_the_circle_finder_finds() -> None:
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) is not None


def test_medians(capsys: pytest.CaptureFixture[str]) -> None:
    functions = [_lines(function) for module in MODULES.values() for function in module.functions()]
    files = [len(module.text.splitlines()) for module in MODULES.values() if module.text]
    with capsys.disabled():
        print(f"\nmedian function: {statistics.median(functions):g} lines, ", end="")
        print(f"median file: {statistics.median(files):g} lines")
    assert statistics.median(functions) <= 15
    assert statistics.median(files) <= 250


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """Some circle of the graph, or None: what remains when the leaves are taken off again and again."""
    rest = {name: set(edges) for name, edges in graph.items()}
    while leaves := [name for name, edges in rest.items() if not edges]:
        for leaf in leaves:
            del rest[leaf]
        for edges in rest.values():
            edges.difference_update(leaves)
    return sorted(rest) or None
