"""The rows of flags."""

from __future__ import annotations

from tests.spec.tables import read
from winsock.abi import constants, errors
from winsock.abi.flags import ROWS

GROUPS = {"msg-flag", "wsa-flag", "socket-group", "shutdown", "accept-condition"}


def test_every_flag_of_what_is_here_has_a_row() -> None:
    documented = {row["name"] for row in read("constants.csv") if row["group"] in GROUPS} - {"MSG_MAXIOVLEN"}
    assert {row.name for row in ROWS} == documented


def test_rows_are_consistent() -> None:
    for row in ROWS:
        assert row.value == getattr(constants, row.name)
        assert row.host in ("host", "emulated", "refused")
        if row.host == "refused":
            assert hasattr(errors, row.note.partition(":")[0]), "a refusal names its error"


def test_a_flag_has_one_answer_in_each_function() -> None:
    pairs = [(row.name, function) for row in ROWS for function in row.functions.split(", ")]
    assert len(set(pairs)) == len(pairs)
