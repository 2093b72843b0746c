"""Failing closed: an exception in a layer's own code fails the call with a Winsock error, and a line says where.

A `WinsockError` is an answer and passes as it is. Anything else is a defect of the layer: the call fails with
WSASYSCALLFAILURE (a call that should never fail has failed), so that traffic never goes round the layer and a
program never sees a Python exception that it cannot know.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from winsock.abi.errors import WSASYSCALLFAILURE, WinsockError
from winsock.core import journal


def guarded(layer: object, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a slot: what it raises reaches the caller as a WinsockError."""

    def slot(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except WinsockError:
            raise
        except Exception as error:
            raise failure(layer, name, error) from error

    slot.__name__ = slot.__qualname__ = f"guarded_{name}"
    return slot


def failure(layer: object, function: str, error: Exception) -> WinsockError:
    """Write the audit line; answer with the error that the caller gets."""
    layer_name = str(getattr(layer, "name", type(layer).__name__))
    journal.audit(layer_name, function, error)
    return WinsockError(
        WSASYSCALLFAILURE,
        f"layer {layer_name}: {function} raised {type(error).__name__}: {error} ({raised_at(layer, error)})",
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
