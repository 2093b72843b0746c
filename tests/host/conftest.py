"""Every test runs over both twins: the calls in Python and, where they were built, the compiled ones."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import socket
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from winsock.host import pure


class Twin(Protocol):
    """What both modules have."""

    __name__: str
    receive: Callable[[int, int], tuple[int, int, int, int, tuple[int, ...]] | int]
    answer: Callable[[int, int, int, int, int], bool]
    valid: Callable[[int, int], bool]
    take: Callable[[int, int], tuple[int, int]]
    kind: Callable[[int], tuple[int, int, int]]
    network: Callable[[int], int]
    read_memory: Callable[[int, int, int], bytes]
    write_memory: Callable[[int, int, bytes], None]
    connect: Callable[[int, bytes], int]
    name: Callable[[int, bool], bytes]
    close_each: Callable[[list[int]], None]
    identity: Callable[[int], bytes]
    same: Callable[[int, bytes], bool]
    make: Callable[[tuple[int, int, int], bool], int]
    guarded: Callable[..., Any]
    Association: type[Any]


def is_compiled(host: Twin) -> bool:
    """Which of the two it is."""
    return host.__name__ != pure.__name__


def _could_be_compiled() -> bool:
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return header.exists() and any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang"))


@pytest.fixture(params=["pure", "compiled"])
def host(request: pytest.FixtureRequest) -> Twin:
    """One of the twins. The compiled one may be absent only where nothing could have built it."""
    module: Any = pure
    try:
        if request.param == "compiled":
            module = importlib.import_module("winsock._hot")
    except ImportError as error:
        if os.environ.get("WINSOCK_NOTHING_SKIPPED") == "1" or _could_be_compiled():
            pytest.fail(f"the compiled twin is absent, though it could be built: pip install -e . ({error})")
        pytest.skip("no compiler, so there is no compiled twin")
    twin: Twin = module
    return twin


@contextmanager
def nothing_leaks() -> Iterator[None]:
    """No descriptor is open after that was not before; an earlier test's may have gone meanwhile."""
    before = os.listdir("/proc/self/fd")
    yield
    assert set(os.listdir("/proc/self/fd")) <= set(before)


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A listener whose queue is full, so that a connect to it stays on its way."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as queued:
        queued.connect(server.getsockname())
        yield server


def interrupt(thread: int, number: int) -> None:
    """Send a signal to one thread of ours, by the kernel's id; nothing where it has ended."""
    ctypes.CDLL(None).tgkill(os.getpid(), thread, number)
