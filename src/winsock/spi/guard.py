"""Failing closed: an exception in a layer's own code fails the call with a Winsock error, and a line says where.

A `WinsockError` is an answer and passes as it is, and so are Python's own `ConnectionRefusedError` and its kin, and an
`OSError` with the number of a network's error: a layer refuses by raising one. Anything else is a defect of the layer:
the call fails with WSASYSCALLFAILURE (a call that should never fail has failed), so that traffic never goes round the
layer and a program never sees a Python exception that it cannot know. So is an answer that the function cannot have:
text for a count, say.

`sys.exit()` and its kin are no `Exception`. In a program of one's own they may be its own doing, the end of a signal
handler say, and go on. A supervisor has no such handler: there a layer alone can raise them, and must not end it.
"""

from __future__ import annotations

import errno
import os
import reprlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from winsock import host
from winsock.abi.errors import WSASYSCALLFAILURE, WinsockError, code_of, is_code, name_of
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import SockaddrHv, SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.core import journal

_REFUSALS: dict[type[OSError], int] = {
    ConnectionRefusedError: errno.ECONNREFUSED,
    ConnectionResetError: errno.ECONNRESET,
    ConnectionAbortedError: errno.ECONNABORTED,
    TimeoutError: errno.ETIMEDOUT,
    PermissionError: errno.EACCES,
}
"""What a layer may raise to refuse, beside a `WinsockError`."""
_REFUSING = frozenset(
    {
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOBUFS,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTONOSUPPORT,
    }
)
"""The numbers of an `OSError` that say the same, and for which Python has no class."""


class _Defects:
    kind: type[BaseException] = Exception


def defects() -> type[BaseException]:
    """What to catch where a layer's own code is called."""
    return _Defects.kind


def take_all_for_defects() -> None:
    """From now on nothing that a layer raises goes on, whatever it is."""
    _Defects.kind = BaseException


class WrongAnswer(TypeError):
    """A layer's function answered with what it cannot."""


class Answer(NamedTuple):
    """What a function answers with: a kind; of a tuple, which begins with a number, also the kinds of its parts."""

    wanted: str
    kind: type
    parts: tuple[tuple[type, ...], ...] = ()
    others: tuple[type, ...] = ()
    """Further kinds that will do."""

    least: int = 0
    """Of a number."""
    pending_above: int = 99
    """None will do in a call of more arguments than that: it is overlapped, and may be pending."""

    def check(self, answer: object, arguments: int) -> None:
        """Raises WrongAnswer."""
        if answer is None and arguments > self.pending_above:
            return
        fits = isinstance(answer, (self.kind, *self.others))
        number = answer
        if fits and self.parts and isinstance(answer, tuple):
            fits = len(answer) == len(self.parts) and all(map(isinstance, answer, self.parts))
            number = answer[0] if fits else None
        if not fits or (isinstance(number, int) and not self.least <= number <= _MOST):
            raise WrongAnswer(f"{self.wanted} is wanted, not {reprlib.repr(answer)}")


class Composed(NamedTuple):
    """An answer of several parts, which has to be looked at closely."""

    wanted: str
    fits: Callable[[Any], bool]
    kind: type = WrongAnswer
    """What no answer is of, so that none is let through at a glance."""
    parts: tuple[tuple[type, ...], ...] = ()

    def check(self, answer: object, arguments: int) -> None:
        """Raises WrongAnswer."""
        if not self.fits(answer):
            raise WrongAnswer(f"{self.wanted} is wanted, not {reprlib.repr(answer)}")


class WrongCode(ValueError):
    """A layer raised a WinsockError with a number that is none of Winsock's."""


_MOST = 2**63 - 1


def _are_numbers(answer: Any, size: int | None = None, kinds: Any = tuple) -> bool:
    """So many numbers from 0 on in a sequence of these kinds."""
    if not isinstance(answer, kinds) or size not in {None, len(answer)}:
        return False
    return all(isinstance(number, int) and 0 <= number <= _MOST for number in answer)


def _are_sets(answer: Any) -> bool:
    lists = (list, tuple)
    return isinstance(answer, lists) and len(answer) == 3 and all(_are_numbers(part, kinds=lists) for part in answer)


def _are_events(answer: Any) -> bool:
    from winsock.core.netevents import NO_EVENTS, NetworkEvents

    if not isinstance(answer, NetworkEvents):
        return False
    return _are_numbers((answer.lNetworkEvents,)) and _are_numbers(answer.iErrorCode, len(NO_EVENTS.iErrorCode))


def _is_quality(answer: Any) -> bool:
    from winsock.abi.structures import QOS

    names = isinstance(answer, (list, tuple)) and all(isinstance(name, str) for name in answer)
    return names or isinstance(answer, (QOS, bytes, bytearray, memoryview))


_HANDLE = Answer("a handle", int)
_ADDRESSES = (SockaddrIn, SockaddrIn6, SockaddrUn, SockaddrHv, SockaddrOther)
_ADDRESS = Answer("an address", SockaddrIn, others=_ADDRESSES)
_NUMBER = (int,)
_PEER = (*_ADDRESSES, type(None))
_DATA = (bytes, bytearray, memoryview)
_ANSWERS_OF: dict[str, Answer | Composed] = {
    "WSPAccept": Answer("(handle, address)", tuple, (_NUMBER, _PEER)),
    "WSPAddressToString": Answer("a text", str),
    "WSPConnect": Answer("bytes or None", type(None), others=_DATA),
    "WSPDuplicateSocket": Answer("a WSAPROTOCOL_INFO", WSAPROTOCOL_INFO),
    "WSPEnumNetworkEvents": Composed("NetworkEvents", _are_events),
    "WSPGetOverlappedResult": Composed("(count, flags)", lambda answer: _are_numbers(answer, 2)),
    "WSPGetPeerName": _ADDRESS,
    "WSPGetQOSByName": Composed("names of templates or a QOS", _is_quality),
    "WSPGetSockName": _ADDRESS,
    "WSPGetSockOpt": Answer("an option's value", int, others=(*_DATA, tuple), least=-_MOST),
    "WSPIoctl": Answer("bytes or None", bytes, others=(bytearray, memoryview, type(None))),
    "WSPJoinLeaf": _HANDLE,
    "WSPRecv": Answer("(count, flags)", tuple, (_NUMBER, _NUMBER), pending_above=3),
    "WSPRecvDisconnect": Answer("bytes", bytes, others=_DATA),
    "WSPRecvFrom": Answer("(count, flags, address)", tuple, (_NUMBER, _NUMBER, _PEER), pending_above=3),
    "WSPSelect": Composed("three lists of handles", _are_sets),
    "WSPSend": Answer("a count", int, pending_above=3),
    "WSPSendTo": Answer("a count", int, pending_above=4),
    "WSPSocket": _HANDLE,
    "WSPStringToAddress": _ADDRESS,
}
"""Of the functions that answer with something their callers use."""


def guarded(layer: object, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a slot: what it raises reaches the caller as a WinsockError, and so does a senseless answer."""

    def refused(error: BaseException) -> WinsockError:
        if not isinstance(error, defects()):
            raise error
        where = defined_at(layer, name) if isinstance(error, WrongAnswer) else None
        return refusal(error) or failure(layer, name, error, where)

    answer = _ANSWERS_OF.get(name)
    if answer is None:
        return host.guarded(function, WinsockError, refused)
    return host.guarded(function, WinsockError, refused, answer.kind, answer.parts, answer.check)


def refusal(error: BaseException) -> WinsockError | None:
    """The answer that a layer means by one of Python's own network errors; None for anything else.

    A `PermissionError` over a file's name is a defect and no answer.
    """
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    number = error.errno
    if number not in _REFUSING:
        number = next((number for kind, number in _REFUSALS.items() if isinstance(error, kind)), None)
    return None if number is None else WinsockError(code_of(number), str(error) or None, errno=number)


def checked(layer: object, function: str, error: WinsockError) -> WinsockError:
    """The error that a layer has raised; where its number is none of Winsock's, a defect of the layer."""
    code = error.winerror
    if is_code(code) or error.from_kernel:
        return error
    what = f"{code!r} is no number of a Winsock error"
    if name := errno.errorcode.get(code):
        what += f"; what means {name} is winsock.{name_of(code_of(code))}"
    return failure(layer, function, WrongCode(what), raised_at(layer, error, function))


def failure(layer: object, function: str, error: BaseException, where: str | None = None) -> WinsockError:
    """Write the audit line; answer with the error that the caller gets. `where` is the place, if it was not raised."""
    layer_name = str(getattr(layer, "name", type(layer).__name__))
    where = where or raised_at(layer, error, function)
    journal.audit(layer_name, function, error, where)
    return WinsockError(
        WSASYSCALLFAILURE, f"layer {layer_name}: {function} raised {type(error).__name__}: {error} ({where})"
    )


def raised_at(layer: object, error: BaseException, function: str) -> str:
    """File and line of the innermost place in the layer's own file, else of the innermost place.

    Where that is in ours, because the function does not take what it is called with, say, it is where that begins.
    """
    own = getattr(sys.modules.get(_kind_of(layer).__module__), "__file__", None)
    place, file = "unknown place", ""
    frame = error.__traceback__
    while frame is not None:
        here = frame.tb_frame.f_code.co_filename
        if here == own or file != own:
            place, file = f"{here}:{frame.tb_lineno}", here
        frame = frame.tb_next
    if file != own and file.startswith(_OURS):
        return defined_at(layer, function) or place
    return place


def defined_at(layer: object, function: str) -> str | None:
    """File and line where the layer's function begins, which answered with something senseless."""
    code = getattr(getattr(_kind_of(layer), function, None), "__code__", None)
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def given_name(kind: type) -> str:
    """How a class of layers is called: by its `name`, or by its own in small letters; TypeError for what is no text."""
    name = vars(kind).get("name", kind.__name__.lower())
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"{kind.__qualname__}.name is {name!r}, and a name is a text")
    return name


def _kind_of(layer: object) -> type:
    """The class of a layer, which may not have been made yet."""
    return layer if isinstance(layer, type) else type(layer)


_OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
