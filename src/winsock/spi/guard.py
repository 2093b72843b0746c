"""Failing closed: an exception in a layer's own code fails the call with a Winsock error, and a line says where.

A `WinsockError` is an answer and passes as it is, and so are Python's own `ConnectionRefusedError` and its kin: a layer
refuses by raising one. Anything else is a defect of the layer: the call fails with
WSASYSCALLFAILURE (a call that should never fail has failed), so that traffic never goes round the layer and a
program never sees a Python exception that it cannot know.

`sys.exit()` and its kin are no `Exception`. In a program of one's own they may be its own doing, the end of a signal
handler say, and go on. A supervisor has no such handler: there a layer alone can raise them, and must not end it.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

from winsock import host
from winsock.abi.errors import WSASYSCALLFAILURE, WinsockError, code_of
from winsock.core import journal

_ANSWERS: dict[type[OSError], int] = {
    ConnectionRefusedError: errno.ECONNREFUSED,
    ConnectionResetError: errno.ECONNRESET,
    ConnectionAbortedError: errno.ECONNABORTED,
    TimeoutError: errno.ETIMEDOUT,
    PermissionError: errno.EACCES,
}
"""What a layer may raise to refuse, beside a `WinsockError`."""


class _Defects:
    kind: type[BaseException] = Exception


def defects() -> type[BaseException]:
    """What to catch where a layer's own code is called."""
    return _Defects.kind


def take_all_for_defects() -> None:
    """From now on nothing that a layer raises goes on, whatever it is."""
    _Defects.kind = BaseException


def guarded(layer: object, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a slot: what it raises reaches the caller as a WinsockError."""
    return host.guarded(function, WinsockError, lambda error: _answer(layer, name, error))


def _answer(layer: object, name: str, error: BaseException) -> WinsockError:
    if not isinstance(error, defects()):
        raise error
    return refusal(error) or failure(layer, name, error)


def refusal(error: BaseException) -> WinsockError | None:
    """The answer that a layer means by one of Python's own network errors; None for anything else.

    A `PermissionError` over a file's name is a defect and no answer.
    """
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    number = next((number for kind, number in _ANSWERS.items() if isinstance(error, kind)), None)
    return None if number is None else WinsockError(code_of(number), str(error) or None, errno=number)


def failure(layer: object, function: str, error: BaseException) -> WinsockError:
    """Write the audit line; answer with the error that the caller gets."""
    layer_name = str(getattr(layer, "name", type(layer).__name__))
    where = raised_at(layer, error)
    journal.audit(layer_name, function, error, where)
    return WinsockError(
        WSASYSCALLFAILURE, f"layer {layer_name}: {function} raised {type(error).__name__}: {error} ({where})"
    )


def raised_at(layer: object, error: BaseException) -> str:
    """File and line of the innermost place in the layer's own file, else of the innermost place."""
    own = getattr(sys.modules.get(type(layer).__module__), "__file__", None)
    place = "unknown place"
    in_own_file = False
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file == own or not in_own_file:
            place = f"{file}:{frame.tb_lineno}"
            in_own_file = file == own
        frame = frame.tb_next
    return place
