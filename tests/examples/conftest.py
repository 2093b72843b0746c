"""Every test has a catalog of its own, and begins and ends without Winsock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from winsock.core.journal import journal
from winsock.dispatcher import process


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What is written to the journal; whatever else a test does, no provider fails in it."""
    monkeypatch.setenv("WINSOCK_CATALOG", str(tmp_path / "catalog" / "catalog.sqlite"))
    written: list[str] = []
    monkeypatch.setattr(journal, "sink", written.append)
    yield written
    while process.is_started():
        process.cleanup()
    assert written == []
