"""A descriptor that tells of changes of the catalog."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.puppet import ROOT
from tests.refusals import refused
from winsock.abi.errors import WSA_INVALID_HANDLE, WSAEOPNOTSUPP
from winsock.catalog import install, store, watch
from winsock.catalog.entries import Catalog

pytestmark = [
    pytest.mark.usefixtures("catalog_file"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="changes are told on Linux only"),
]


@pytest.fixture
def handle() -> Iterator[int]:
    descriptor = watch.open_notification()
    yield descriptor
    os.close(descriptor)


def turned(catalog: Catalog) -> Catalog:
    return install.order(catalog, [entry.info.dwCatalogEntryId for entry in reversed(list(catalog))])


def change() -> None:
    store.change(lambda all: all._replace(native=turned(all.native)))


def change_elsewhere() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    command = [sys.executable, "-c", "from tests.catalog import test_watch as t; t.change()"]
    subprocess.run(command, env=environment, check=True)


def is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def waits(descriptor: int) -> tuple[threading.Thread, list[str]]:
    """A thread that waits for the next change, and what it will have to say."""
    told: list[str] = []

    def wait() -> None:
        watch.wait_for_change(descriptor)
        told.append("changed")

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread, told


def test_nothing_is_written_and_nothing_told_before_there_is_a_change(handle: int, catalog_file: Path) -> None:
    assert not catalog_file.parent.exists()
    assert not is_readable(handle)


def test_the_first_change_and_the_next_and_a_reset(handle: int, catalog_file: Path) -> None:
    for act in (change, change, change_elsewhere, store.reset, change):
        assert not is_readable(handle)
        act()
        assert is_readable(handle)
        watch.wait_for_change(handle)
    assert not is_readable(handle)


def test_a_change_is_told_to_whoever_waits(handle: int) -> None:
    for act in (change, change_elsewhere):
        thread, told = waits(handle)
        act()
        thread.join(20)
        assert told == ["changed"]


def test_what_is_no_change_is_not_told(handle: int, catalog_file: Path) -> None:
    change()
    watch.wait_for_change(handle)
    thread, told = waits(handle)
    catalog_file.chmod(0o400)
    catalog_file.chmod(0o600)
    store.change(lambda all: all)
    (catalog_file.parent / "something else").touch()
    change()
    thread.join(20)
    assert told == ["changed"]
    assert not is_readable(handle)


def test_several_changes_are_told_at_once(handle: int) -> None:
    for _ in range(3):
        change()
    watch.wait_for_change(handle)
    assert not is_readable(handle)


def test_handles_are_told_apart(handle: int) -> None:
    change()
    late = watch.open_notification()
    try:
        assert is_readable(handle)
        assert not is_readable(late)
        change()
        watch.wait_for_change(late)
        watch.wait_for_change(handle)
    finally:
        os.close(late)


def test_a_folder_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINSOCK_CATALOG", str(tmp_path / "a" / "b" / "c" / "catalog.sqlite"))
    descriptor = watch.open_notification()
    thread, told = waits(descriptor)
    for folder in ("a", "a/b", "a/b/c"):
        (tmp_path / folder).mkdir(mode=0o700)
    change()
    thread.join(20)
    os.close(descriptor)
    assert told == ["changed"]


@pytest.mark.parametrize("look", [1, 2])
def test_a_folder_that_appears_during_a_look(look: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after it was found missing and the nearest one watched instead: nothing that this tells may be taken."""
    monkeypatch.setenv("WINSOCK_CATALOG", str(tmp_path / "a" / "catalog.sqlite"))
    watched, looks = watch._watch, iter(range(1, 99))

    def meanwhile(descriptor: int, what: watch._Watch) -> None:
        watched(descriptor, what)
        if next(looks) == look:
            (tmp_path / "a").mkdir(mode=0o700)

    monkeypatch.setattr(watch, "_watch", meanwhile)
    descriptor = watch.open_notification()
    thread, told = waits(descriptor)
    change()
    thread.join(20)
    os.close(descriptor)
    assert told == ["changed"]


def test_what_is_no_handle_of_ours() -> None:
    for other in (-1, 0, 99999):
        with refused(WSA_INVALID_HANDLE):
            watch.wait_for_change(other)
    descriptor = watch.open_notification()
    os.close(descriptor)
    with refused(WSA_INVALID_HANDLE):
        watch.wait_for_change(descriptor)
    reader, writer = os.pipe()
    try:
        descriptor = watch.open_notification()
        os.dup2(reader, descriptor)
        with refused(WSA_INVALID_HANDLE):
            watch.wait_for_change(descriptor)
        os.close(descriptor)
    finally:
        os.close(reader)
        os.close(writer)


def test_the_handle_is_not_inherited(handle: int) -> None:
    assert not os.get_inheritable(handle)


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with refused(WSAEOPNOTSUPP):
        watch.open_notification()


def test_a_catalog_that_cannot_be_read_leaves_no_descriptor(catalog_file: Path) -> None:
    change()
    catalog_file.chmod(0o666)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="is refused"):
        watch.open_notification()
    assert set(os.listdir("/proc/self/fd")) <= set(before)
