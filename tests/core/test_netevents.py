"""The record of network events, without sockets."""

from __future__ import annotations

import pytest

from winsock.abi.constants import FD_ACCEPT, FD_CLOSE, FD_CONNECT, FD_OOB, FD_READ, FD_WRITE
from winsock.abi.errors import WSAECONNRESET
from winsock.core.netevents import Recorder


def selected(mask: int) -> Recorder:
    recorder = Recorder()
    recorder.select(mask)
    return recorder


def test_what_was_asked_for_signals() -> None:
    recorder = selected(FD_READ)
    assert recorder.happened(FD_READ)
    assert not recorder.happened(FD_WRITE)


def test_what_was_not_asked_for_waits_in_the_record() -> None:
    """EV-15, EV-26, EV-27: recorded whatever the mask, and not taken by an enumeration of other events."""
    recorder = selected(FD_WRITE)
    recorder.happened(FD_READ)
    assert recorder.take().lNetworkEvents == 0
    assert recorder.select(FD_READ)
    assert recorder.take().lNetworkEvents == FD_READ


def test_an_enumeration_takes_events_and_their_errors_by_bit() -> None:
    """EVT-004, EVT-005."""
    recorder = selected(FD_READ | FD_CLOSE)
    recorder.happened(FD_READ)
    recorder.happened(FD_CLOSE, WSAECONNRESET)
    found = recorder.take()
    assert found.lNetworkEvents == FD_READ | FD_CLOSE
    assert found.iErrorCode == (0, 0, 0, 0, 0, WSAECONNRESET, 0, 0, 0, 0)
    assert recorder.take().lNetworkEvents == 0


@pytest.mark.parametrize("event", [FD_CONNECT, FD_CLOSE])
def test_what_has_no_re_enabling_function_comes_once(event: int) -> None:
    """EVT-041, EV-30."""
    recorder = selected(event)
    assert recorder.happened(event)
    assert not recorder.happened(event)
    recorder.take()
    assert not recorder.happened(event)
    for kind in ("receive", "accept", "send"):
        recorder.called(kind)
    assert not recorder.holds(event)


@pytest.mark.parametrize(("event", "kind"), [(FD_READ, "receive"), (FD_OOB, "receive"), (FD_ACCEPT, "accept")])
def test_a_condition_that_holds_is_told_again_after_the_re_enabling_function(event: int, kind: str) -> None:
    """EVT-037, EVT-043, EV-22: not by selecting anew."""
    recorder = selected(event)
    recorder.happened(event)
    recorder.take()
    assert not recorder.holds(event)
    assert not recorder.select(event)
    recorder.called(kind)
    assert recorder.holds(event)


@pytest.mark.parametrize(("event", "kind"), [(FD_READ, "receive"), (FD_ACCEPT, "accept")])
def test_the_call_that_takes_the_cause_takes_the_record_back(event: int, kind: str) -> None:
    """EV-26: what was consumed before anybody asked is not told."""
    recorder = selected(event)
    recorder.happened(event)
    recorder.called(kind)
    assert recorder.take().lNetworkEvents == 0


def test_a_send_leaves_the_record_of_room() -> None:
    """EV-19."""
    recorder = selected(FD_WRITE)
    recorder.happened(FD_WRITE)
    recorder.called("send")
    assert recorder.take().lNetworkEvents == FD_WRITE


def test_new_arrivals_are_told_without_re_enabling() -> None:
    """EV-07, EV-23."""
    recorder = selected(FD_READ)
    recorder.happened(FD_READ)
    recorder.take()
    assert recorder.happened(FD_READ)
