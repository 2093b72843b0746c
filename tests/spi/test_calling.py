"""Who calls: as the supervisor said, else as the stack says."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from winsock.spi import calling
from winsock.spi.calling import Call, current_call


@pytest.fixture(autouse=True)
def nobody_calls() -> Iterator[None]:
    yield
    calling.local.describe = None


def test_outside_of_any_call_there_is_no_function() -> None:
    call = current_call()
    assert (call.process, call.thread) == (os.getpid(), threading.get_native_id())
    assert (call.function, call.socket_id) == ("", None)
    assert call.process_name


def test_the_innermost_function_of_the_stack_is_the_one() -> None:
    def WSPConnect(s: int) -> Call:
        return helper()

    def WSPSend(s: int) -> Call:
        return WSPConnect(s + 1)

    def helper() -> Call:
        return current_call()

    call = WSPSend(4)
    assert (call.function, call.socket_id) == ("WSPConnect", 5)


def test_what_the_supervisor_says_holds_for_its_thread_alone() -> None:
    told = Call(1, 2, "WSPConnect", 3, "curl")
    calling.local.describe = lambda: told
    elsewhere: list[Call] = []
    thread = threading.Thread(target=lambda: elsewhere.append(current_call()), daemon=True)
    thread.start()
    thread.join()
    assert current_call() is told
    assert elsewhere[0].process == os.getpid()
