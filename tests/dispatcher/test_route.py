"""The prologue: started? handle? And the thread's last error."""

from __future__ import annotations

import os

import pytest

from tests.fakes import catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.dispatcher import loader, process, route, threads


@route.function
def name_of(s: int) -> object:
    """A function of the API."""
    return route.find(s).entry.info.szProtocol


def failing(s: int) -> str:
    """The error of the function, which is also the last error."""
    with pytest.raises(e.WinsockError) as caught:
        name_of(s)
    assert threads.current().last_error == caught.value.winerror
    return caught.value.name


def new_socket() -> int:
    process.startup(catalog=catalog())
    entry = loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0)
    return loader.open_chain(entry).table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, entry.info, 0, 0)


def test_a_function_reaches_its_record() -> None:
    assert name_of(new_socket()) == "MSAFD Tcpip [TCP/IP]"
    assert name_of.__doc__ == "A function of the API."


def test_before_startup_nothing_works() -> None:
    """INIT-007."""
    assert failing(3) == "WSANOTINITIALISED"
    assert route.refusal(3).winerror == e.WSANOTINITIALISED
    with pytest.raises(e.WinsockError):
        route.require_started()


def test_what_is_no_handle_is_refused() -> None:
    new_socket()
    route.require_started()
    assert failing(99999) == "WSAENOTSOCK"
    threads.current().last_error = 0
    assert route.refusal(99999).winerror == threads.current().last_error == e.WSAENOTSOCK


def test_a_reused_number_is_refused() -> None:
    s = new_socket()
    os.close(s)
    assert failing(s) == "WSAENOTSOCK"


def test_success_leaves_the_last_error() -> None:
    s = new_socket()
    threads.current().last_error = 10054
    name_of(s)
    assert threads.current().last_error == 10054


def test_other_exceptions_are_none_of_winsocks() -> None:
    @route.function
    def wrong() -> None:
        raise TypeError

    with pytest.raises(TypeError):
        wrong()
    assert threads.current().last_error == 0
