"""Functions that are here to say no, with the error that their own documentation has for it.

No name-space provider is installed, and no overlapped operation is ever under way. For a function that would need one
of them that is a state of the system like any other, and its page says how it is told. So such a function is a row: the
error, and why it is true. It checks what every function checks before it runs (`abi.calls`), its body checks the
arguments as far as the page says, and then comes the error of the row.

No row promises what is not so: a program that handles the errors of a function's page handles all that it meets here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple, NoReturn, ParamSpec

from winsock.abi import calls
from winsock.abi.errors import WinsockError
from winsock.dispatcher.route import function, require_started

P = ParamSpec("P")


class Refusal(NamedTuple):
    """What a function answers."""

    code: int
    why: str
    """What is so, in the words of the error's message."""


REFUSALS: dict[str, Refusal] = {}
"""By the names of the functions, those of the modules that are imported."""

_STARTED = frozenset(row.function for row in calls.ROWS if row.prologue == calls.STARTED)


def refused(code: int, why: str) -> Callable[[Callable[P, None]], Callable[P, NoReturn]]:
    """A function that always fails so; what is decorated checks the arguments."""

    def decorate(check: Callable[P, None]) -> Callable[P, NoReturn]:
        REFUSALS[check.__name__] = Refusal(code, why)
        check.__annotations__["return"] = "NoReturn"
        started = check.__name__ in _STARTED

        @wraps(check)
        def refuse(*args: P.args, **kwargs: P.kwargs) -> NoReturn:
            if started:
                require_started()
            check(*args, **kwargs)
            raise WinsockError(code, why)

        return function(refuse)

    return decorate
