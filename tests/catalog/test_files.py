"""Providers that are files: where they are, and whether they are what was installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.refusals import refused
from winsock.abi.errors import WSAEINVAL, WSANO_RECOVERY
from winsock.catalog import files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    layer = tmp_path / "layer.py"
    layer.write_bytes(b"one\n")
    layer.chmod(0o644)
    return layer


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("package.module:Class", "package.module:Class"),
        ("%HERE%/layer.py", "/here/layer.py"),
        ("%HERE%%HERE%:L", "/here/here:L"),
        ("%NOT_THERE%/%HERE%", "%NOT_THERE%//here"),
        ("100%/layer.py", "100%/layer.py"),
        ("%%/x", "%%/x"),
        ("%\ud800%/x", "%\ud800%/x"),
    ],
)
def test_environment_variables_are_filled_in_cat_002(path: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/here")
    monkeypatch.delenv("NOT_THERE", raising=False)
    assert files.expanded(path) == expected


def test_a_file_is_told_from_a_module() -> None:
    assert files.file_of("package.module:Class") is None
    assert files.file_of("./layer.py") == "./layer.py"
    assert files.file_of("/a/layer.py:Class") == "/a/layer.py"


def test_a_file_is_kept_by_its_whole_path_and_its_hash(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
    monkeypatch.chdir(file.parent)
    assert files.kept("./layer.py:One") == (f"{file}:One", digest)
    assert files.kept(str(file)) == (str(file), digest)
    assert files.kept("package.module:Class") == ("package.module:Class", "")


def test_variables_stay_in_the_path_cat_004(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", str(file.parent))
    path, digest = files.kept("%HERE%/layer.py")
    assert path == "%HERE%/layer.py"
    assert files.problem_of(str(file), digest) is None


def test_a_file_that_is_not_there_cannot_be_installed(tmp_path: Path) -> None:
    with refused(WSAEINVAL, "No such file"):
        files.kept(f"{tmp_path}/gone.py")
    for name in ("a\0b.py", "\ud800.py"):
        with refused(WSAEINVAL, "no name of a file"):
            files.kept(f"{tmp_path}/{name}")


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_refused(file: Path, mode: int) -> None:
    _, digest = files.kept(str(file))
    file.chmod(mode)
    with refused(WSANO_RECOVERY, f"chmod go-w {file}"):
        files.kept(str(file))
    assert files.problem_of(str(file), digest) == f"others can write {file}; to end that: chmod go-w {file}"


def test_a_file_that_has_changed_is_refused(file: Path) -> None:
    _, digest = files.kept(str(file))
    assert files.problem_of(str(file), digest) is None
    file.write_bytes(b"two\n")
    problem = files.problem_of(str(file), digest)
    assert problem is not None
    assert "has changed since it was installed" in problem
    assert f"winsock catalog install {file}" in problem
    file.unlink()
    assert files.problem_of(str(file), digest) == f"{file}: No such file or directory"
