"""Every test begins and ends without Winsock, and its lines are caught."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes import RecordingBase
from winsock.core.journal import journal
from winsock.dispatcher import process, threads


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    written: list[str] = []
    monkeypatch.setattr(journal, "sink", written.append)
    RecordingBase.forget()
    threads.current().last_error = 0
    yield written
    while process.is_started():
        process.cleanup()
