"""Every function in scope works, and every documented error of it is tested, mapped, or cannot occur here."""

from __future__ import annotations

import ast
import errno
import importlib.util
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests.spec import coverage
from tests.spec.coverage import FOR_LATER, IMPOSSIBLE, REASONS, Documented
from tests.spec.tables import read
from winsock.abi import calls, errors

ROOT = Path(__file__).parents[2]
ROWS = coverage.in_scope()
CODES_OF_ERRNOS = {errors.code_of(number) for number in errno.errorcode} - {errors.WSASYSCALLFAILURE}


@cache
def generator() -> ModuleType:
    """docs/generate.py, which knows what is there."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LIVE = generator().live_functions()


@pytest.mark.parametrize("call", coverage.functions(), ids=lambda call: call.name)
def test_every_function_works_or_refuses_until_later(call: calls.Call) -> None:
    state = generator().status(call, LIVE)
    if call.prologue == calls.CALLBACK and call.function in coverage.LATER:
        assert state == generator().NOT_YET, "nobody calls it"
    elif call.function in coverage.LATER:
        assert state in (generator().REFUSED, generator().WORKS)
    else:
        assert state in (generator().WORKS, generator().NOT_NEEDED)


def test_the_functions_are_those_of_the_table() -> None:
    of_parts = [row["name"] for row in read("functions.csv") if row["part"] in coverage.PARTS]
    assert sorted(call.name for call in coverage.functions()) == sorted(of_parts)
    assert coverage.LATER.keys() <= {call.function for call in coverage.functions()}
    assert len([row for row in read("errors.csv") if row["function"] in of_parts]) == len(ROWS)


@pytest.mark.parametrize("name", list(dict.fromkeys(row.name for row in ROWS)))
def test_every_documented_error_is_in_one_state(name: str) -> None:
    for row in ROWS:
        if row.name == name:
            check_state(row)


def check_state(row: Documented) -> None:
    state = coverage.state_of(row)
    assert state is not None, row
    assert not (row.seen in coverage.tested() and row.seen in coverage.mapped()), f"{row}: a test raises it already"
    assert (state.state == FOR_LATER) <= (row.function in coverage.LATER)
    if state.state == IMPOSSIBLE:
        assert row.code not in CODES_OF_ERRNOS, f"{row}: the kernel could say so"
        assert state.why in REASONS


def test_the_reasons_are_few_and_all_of_them_are_given() -> None:
    given = {state.why for row in ROWS if (state := coverage.state_of(row)) is not None and state.state == IMPOSSIBLE}
    assert given == set(REASONS)
    assert len(REASONS) <= 12


def test_the_states_are_those_of_documented_errors() -> None:
    documented = {row.seen for row in ROWS}
    for table, found in (("errors_tested.csv", coverage.tested()), ("errors_mapped.csv", coverage.mapped())):
        assert found.keys() <= documented
        assert len(read(table)) == len(found), "no row twice"


def test_what_is_mapped_is_mapped_by_the_table() -> None:
    turned = {("WSACreateEvent", "WSAENETDOWN")}
    for row in read("errors_mapped.csv"):
        if (row["function"], row["code_name"]) not in turned:
            assert errors.name_of(errors.code_of(getattr(errno, row["errno"]))) == row["code_name"], row


TESTS = sorted(set(coverage.tested().values()))


@pytest.mark.parametrize("file", sorted({test.partition("::")[0] for test in TESTS}))
def test_what_is_tested_is_tested_by_a_test(file: str) -> None:
    tree = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    defined = {node.name for node in tree if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for test in TESTS:
        if test.startswith(file + "::"):  # a class may have its tests from another
            assert test.split("::")[1].partition("[")[0] in defined, f"{test}: see tests/spec/recording.py"


def test_all_of_them_are_collected_with_the_whole_suite(request: pytest.FixtureRequest) -> None:
    if request.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    collected = {item.nodeid for item in request.session.items}
    assert set(TESTS) <= collected


def test_the_readme_has_the_counts() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert coverage.counted() in readme
    assert sum(coverage.counts().values()) == len(ROWS)


def test_the_map_has_the_counts() -> None:
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    of = Counter(coverage.counts())
    assert f"| {of['tested']} | {of['mapped']} | {of[IMPOSSIBLE]} | {of[FOR_LATER]} | {len(ROWS)} |" in text
