"""Expecting the documented error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from winsock.abi.errors import WinsockError, name_of


@contextmanager
def refused(code: int, match: str | None = None) -> Iterator[pytest.ExceptionInfo[WinsockError]]:
    """The body must fail with this code, and a message that matches."""
    with pytest.raises(WinsockError, match=match) as caught:
        yield caught
    assert caught.value.name == name_of(code)


def code_of(call: Callable[[], object]) -> int:
    """The code that the call fails with, 0 where it succeeds."""
    try:
        call()
    except WinsockError as error:
        return error.winerror
    return 0
