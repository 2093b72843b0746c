"""The one prologue of every Winsock function: started? handle? provider? Then the call, and the thread's last error.

A function of the API is decorated with `function`, takes `find(s).table` and calls the SPI function. The transfer
functions, where every nanosecond is counted, do by hand what the decorator does, and do not look whether the number
was reused behind our back:

    try:
        record = records[s]
    except KeyError:
        raise refusal(s) from None
    try:
        return record.table.WSPSend(s, (data,), flags)
    except WinsockError as error:
        note(error)
        raise

The table of handles is empty until WSAStartup, so a started check costs nothing where a handle is looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from winsock.abi.errors import WSANOTINITIALISED, WinsockError
from winsock.dispatcher import process, records, threads

P = ParamSpec("P")
R = TypeVar("R")


def function(body: Callable[P, R]) -> Callable[P, R]:
    """A Winsock function: an error that it raises is also the thread's last error."""

    @wraps(body)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return body(*args, **kwargs)
        except WinsockError as error:
            note(error)
            raise

    return call


def require_started() -> None:
    """Raises WSANOTINITIALISED before WSAStartup."""
    if not process.is_started():
        raise not_started()


def find(s: int) -> records.Record:
    """The record of a handle, which is still the socket that it was; raises WSANOTINITIALISED, WSAENOTSOCK."""
    if not process.is_started():
        raise not_started()
    return records.find(s)


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
