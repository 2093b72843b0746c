"""Pipes that are lent: few, empty when they come back, and never in the way."""

from __future__ import annotations

import fcntl
import os
from typing import Any

import pytest

from winsock.dispatcher.drivers.pipes import SIZE, Pipe, Pipes


def taken(pipes: Pipes) -> Pipe:
    pipe = pipes.take()
    assert pipe is not None
    return pipe


def test_an_empty_pipe_is_lent_again() -> None:
    pipes = Pipes()
    pipe = taken(pipes)
    pipes.give_back(pipe)
    assert taken(pipes) is pipe
    pipe.close()


def test_a_pipe_that_holds_something_is_not() -> None:
    pipes = Pipes()
    pipe = taken(pipes)
    os.write(pipe.writing, b"stray")
    pipe.filled = 5
    descriptors = pipe.reading, pipe.writing
    pipes.give_back(pipe)
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    other = taken(pipes)
    assert other is not pipe
    other.close()


def test_only_so_many_are_lent() -> None:
    pipes = Pipes(most=2)
    first, second = taken(pipes), taken(pipes)
    assert pipes.take() is None
    pipes.give_back(first)
    assert pipes.take() is first
    for pipe in (first, second):
        pipe.close()


def test_no_descriptors_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    pipes = Pipes(most=1)
    with monkeypatch.context() as context:
        context.setattr(os, "pipe2", refuse)
        assert pipes.take() is None
    taken(pipes).close()


def test_a_pipe_is_large_where_the_kernel_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    assert fcntl.fcntl(pipe.reading, fcntl.F_GETPIPE_SZ) == SIZE
    pipe.close()

    def refuse(*_: Any) -> int:
        raise PermissionError(1, "over the limit")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    small = Pipe()
    assert os.write(small.writing, b"data") == 4
    small.close()
