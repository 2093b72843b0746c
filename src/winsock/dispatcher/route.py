"""The one prologue of every Winsock function: started? handle? provider? Then the call, and the thread's last error.

A function of the API is decorated with `function`, takes `find(s).table` and calls the SPI function. The transfer
functions, where every nanosecond is counted, do by hand what the decorator does, and do not look whether the number
was reused behind our back:

    try:
        record = records[s]
    except KeyError:
        raise refusal(s) from None
    try:
        return record.table.WSPRecv(s, (buffer,), flags)
    except WinsockError as error:
        note(error)
        raise

A send goes the shortest way there is. While the handle's WSPSend is the base provider's own, `senders` holds what
that provider calls itself (`winsock.spi.provider.SendsDirectly`), and None where somebody stands between; of a handle
that is not in it, it is learned:

    try:
        direct = senders[s]
    except (KeyError, TypeError):
        direct = learn_to_send(s)
    if direct is not None and not flags:
        try:
            count = direct(data, NO_SIGNAL)
        except Exception as error:
            return after_direct_send(s, data, error)
        try:
            if count == len(data):
                return count
        except TypeError:  # a buffer that has no length
            pass
        return after_direct_send(s, data, count)

The table of handles is empty until WSAStartup, so a started check costs nothing where a handle is looked up.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from functools import wraps
from threading import get_ident
from typing import Any, ParamSpec, TypeVar

from winsock.abi.errors import WSAEINPROGRESS, WSAENOBUFS, WSANOTINITIALISED, WinsockError, from_errno
from winsock.dispatcher import process, records, threads
from winsock.dispatcher.arguments import MISTAKES, diagnosed, in_words_of
from winsock.spi.blocking import ASKING
from winsock.spi.provider import ReadBuffer, SendsDirectly

P = ParamSpec("P")
R = TypeVar("R")

NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)
"""The flags of a direct send: a broken connection is an error, and no signal."""


def function(body: Callable[P, R]) -> Callable[P, R]:
    """A Winsock function: an error that it raises is also the thread's last error.

    What it raises over an argument of a wrong type becomes the documented error, with the name of the argument; what
    the kernel said to a call of ours, the code of that errno; memory that ran out, WSAENOBUFS.
    """
    names = body.__code__.co_varnames[: body.__code__.co_argcount]

    @wraps(body)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return body(*args, **kwargs)
        except WinsockError as error:
            note(in_words_of(error, names))
            raise
        except MISTAKES as error:
            raise told(error, **dict(zip(names, args, strict=False)), **kwargs) from error
        except OSError as error:
            if not _is_ours(error):
                raise
            said = from_errno(error.errno or errno.EIO, f"{body.__name__}: {error.strerror}")
            note(said)
            raise said from error

    return call


def _is_ours(error: Exception) -> bool:
    """Whether our own code raised it, and no callback of the caller's."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__")).startswith("winsock.")


FAILURES = (WinsockError, *MISTAKES)
"""What a function may fail with that is the caller's to know."""


def told(error: Exception, **values: Any) -> Exception:
    """The error as the caller of a function with these arguments gets it; it is already the thread's last.

    What Python raised for an argument of a wrong type becomes the documented error; a provider's word for an argument
    becomes the caller's.
    """
    found = error if isinstance(error, WinsockError) else diagnosed(values)
    if found is None and isinstance(error, MemoryError):
        found = WinsockError(WSAENOBUFS, "there is no memory left", errno=errno.ENOMEM)
    if found is None:
        return error
    note(in_words_of(found, values))
    return found


def require_started() -> None:
    """Raises WSANOTINITIALISED before WSAStartup, WSAEINPROGRESS inside a blocking callback."""
    if not process.is_started():
        raise not_started()
    if ASKING:
        refuse_nested()


def refuse_nested() -> None:
    """Raises WSAEINPROGRESS inside a blocking hook; programs of version 2 alone may call there what they like."""
    if get_ident() in ASKING and process.has_blocking_hooks():
        raise WinsockError(WSAEINPROGRESS, "a blocking call of this thread is running its blocking hook")


def find(s: int) -> records.Record:
    """The record of a handle, which is still the socket that it was; raises WSANOTINITIALISED, WSAENOTSOCK."""
    if not process.is_started():
        raise not_started()
    if ASKING:
        refuse_nested()
    return records.find(s)


def learn_to_send(s: int) -> Callable[[ReadBuffer, int], int] | None:
    """Where the slot is a base provider's own method, that provider's direct way for the handle; raises WSAENOTSOCK."""
    try:
        record = records.records[s]
    except (KeyError, TypeError):
        raise refusal(s) from None
    provider = getattr(record.table.WSPSend, "__self__", None)
    ask = getattr(provider, "direct_send", None)
    direct: Callable[[ReadBuffer, int], int] | None
    try:
        direct = ask(s) if ask is not None else None
    except OSError:  # the number was closed behind our back: the slot says what is the matter
        direct = None
    records.senders[s] = direct
    return direct


def after_direct_send(s: int, data: ReadBuffer, outcome: int | Exception) -> int:
    """The direct way ended early, or failed: the provider goes on from there."""
    record = records.records.get(s)
    if record is None:  # closed meanwhile by another thread
        raise refusal(s)
    provider: SendsDirectly = record.table.WSPSend.__self__  # type: ignore[attr-defined]
    try:
        return provider.after_direct_send(s, data, outcome)
    except FAILURES as error:
        raise told(error, data=data) from error.__cause__


def refusal(s: object) -> WinsockError:
    """The error for a handle that has no record; it is already the thread's last error."""
    error = records.not_a_socket(s) if process.is_started() else not_started()
    note(error)
    return error


def not_started() -> WinsockError:
    """The error before WSAStartup."""
    return WinsockError(WSANOTINITIALISED, "WSAStartup has not been called")


def note(error: WinsockError) -> None:
    """Remember an error as the thread's last."""
    threads.current().last_error = error.winerror
