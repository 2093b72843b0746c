"""Which documented functions an error came out of, as its traceback tells: who saw it, saw that they raise it.

An error counts where our own code made it and a test caught it. Every documented function between the two has raised
it. The error of a network event counts for the functions that handed it out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import pytest

import winsock
from tests.spec.coverage import Seen
from winsock.abi import calls, constants
from winsock.abi.errors import WinsockError
from winsock.core.netevents import NetworkEvents, Recorder
from winsock.overlapped.messages import MessageQueue

HERE = str(Path(winsock.__file__).parent) + "/"
API, UPCALLS = HERE + "api/", HERE + "dispatcher/upcalls.py"
BASE, OF_ALL_BASES = HERE + "base/", HERE + "spi/address_text.py"
PROLOGUE = HERE + "dispatcher/route.py"
NAMES = {call.function for call in calls.ROWS}
EVENTS = {
    1 << number: name.removesuffix("_BIT")
    for name, number in vars(constants).items()
    if name.startswith("FD_") and name.endswith("_BIT")
}
"""FD_READ and its kin, by their values."""


class Witness:
    """What happened while it watched."""

    def __init__(self) -> None:
        self.errors: list[WinsockError] = []
        self.handed_out: set[Seen] = set()

    def seen(self) -> set[Seen]:
        """All of it."""
        found = set(self.handed_out)
        for error in self.errors:
            found |= {Seen(name, error.winerror, "call") for name in raised_by(error.__traceback__)}
        return found

    def hand_out(self, events: NetworkEvents, functions: set[str]) -> None:
        """Network events reach who asked."""
        for bit, code in enumerate(events.iErrorCode):
            if code:
                self.handed_out |= {Seen(name, code, EVENTS[1 << bit]) for name in functions}


@contextmanager
def watching() -> Iterator[Witness]:
    """Watch every error of this process."""
    witness = Witness()
    begin, take, post = WinsockError.__init__, Recorder.take, MessageQueue.post

    def init(self: WinsockError, *args: Any, **kwargs: Any) -> None:
        witness.errors.append(self)
        begin(self, *args, **kwargs)

    def taken(self: Recorder) -> NetworkEvents:
        found = take(self)
        witness.hand_out(found, {name for frame in stack() if (name := function_of(frame))})
        return found

    def posted(self: MessageQueue, message: int, wparam: int, lparam: int) -> None:
        if any("WSPAsyncSelect" in frame.f_code.co_qualname and is_in(frame.f_code, BASE) for frame in stack()):
            bit = (lparam & 0xFFFF).bit_length() - 1
            errors = (0,) * bit + (lparam >> 16,)
            witness.hand_out(NetworkEvents(lparam & 0xFFFF, errors), {"WSPAsyncSelect", "WSAAsyncSelect"})
        post(self, message, wparam, lparam)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WinsockError, "__init__", init)
        patch.setattr(Recorder, "take", taken)
        patch.setattr(MessageQueue, "post", posted)
        try:
            yield witness
        finally:
            witness.errors.clear()  # each holds the frames that it went through


def raised_by(traceback: TracebackType | None) -> set[str]:
    """The documented functions that an error came out of on its way to a test; none where it was not ours."""
    frames = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    if len(frames) < 2 or is_in(frames[0].f_code, HERE) or not is_in(frames[-1].f_code, HERE):
        return set()
    return {name for frame in frames[1:] if (name := function_of(frame))}


def function_of(frame: FrameType) -> str | None:
    """The documented function that a frame is the body of: of the API, of a base provider, or an upcall."""
    code = frame.f_code
    name = code.co_name
    if is_in(code, PROLOGUE) and "body" in frame.f_locals:
        name = frame.f_locals["body"].__name__
        name = {"inet_pton": "InetPton", "inet_ntop": "InetNtop"}.get(name, name)  # two names of one body
    elif not (
        is_in(code, API)
        or ((is_in(code, BASE) or is_in(code, OF_ALL_BASES)) and name.startswith("WSP"))
        or (is_in(code, UPCALLS) and name.startswith("WPU"))
    ):
        return None
    return name if name in NAMES else None


def is_in(code: CodeType, place: str) -> bool:
    """Whether code is of a file there."""
    return code.co_filename.startswith(place)


def stack() -> Iterator[FrameType]:
    """Who called, inside out."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back
