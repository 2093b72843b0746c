"""No test meets the catalog of whoever runs it: there is none, unless the test asks for one of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

os.environ["WINSOCK_CATALOG"] = os.path.join(tempfile.gettempdir(), f"winsock-tests-{os.getpid()}", "none.sqlite")


@pytest.fixture
def catalog_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's catalog will be, in a folder that the first change makes."""
    file = tmp_path / "catalog" / "catalog.sqlite"
    monkeypatch.setenv("WINSOCK_CATALOG", str(file))
    return file
