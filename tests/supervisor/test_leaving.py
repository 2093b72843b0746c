"""Files are written out at the end, whatever else there is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from winsock.core.journal import journal
from winsock.supervisor import leaving


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told."""
    told: list[str] = []
    monkeypatch.setattr(journal, "sink", told.append)
    return told


class Odd(io.RawIOBase):
    """Somebody's own idea of a file."""

    bad: type[Exception] | None = KeyError

    def flush(self) -> None:
        if self.bad is not None:
            raise self.bad("odd")


class Proxy:
    """Something that stands for what it does not have."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("nothing to stand for")


def test_files_are_written_out_past_those_that_cannot_be(tmp_path: Path, lines: list[str]) -> None:
    proxy, odd, failing = Proxy(), Odd(), Odd()
    failing.bad = OSError
    with (tmp_path / "a").open("w") as text, (tmp_path / "b").open("wb") as data:
        text.write("text")
        data.write(b"data")
        leaving.write_out()
        assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("text", "data")
    odd.bad = failing.bad = None
    assert [line for line in lines if "is not written to its end" in line] == [
        "winsock: Odd, a file of a layer, is not written to its end: odd"
    ]
    del proxy
