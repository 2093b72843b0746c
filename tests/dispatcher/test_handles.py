"""Handles: adopted, let go, closed, and found out when their number is another file."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tests.fakes import RecordingBase, catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.dispatcher import handles, loader, process
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import find, records
from winsock.spi.layer import Layer


class Told(Layer):
    told: list[tuple[str, int]]

    def adopted(self, handle: int) -> None:
        TOLD.append((self.name, handle))


class Again(Told):
    pass


class Listening(RecordingBase):
    def adopted(self, handle: int) -> None:
        TOLD.append(("base", handle))


class Failing(Layer):
    def adopted(self, handle: int) -> None:
        raise KeyError(handle)


class Refusing(Layer):
    def WSPCloseSocket(self, s: int) -> None:
        raise e.WinsockError(e.WSAEWOULDBLOCK)


TOLD: list[tuple[str, int]] = []


@pytest.fixture
def lent() -> Iterator[int]:
    TOLD.clear()
    with socket.socket() as sock:
        yield sock.fileno()


def opened(*layers: type) -> Chain:
    process.startup(catalog=catalog(*layers))
    return loader.open_chain(loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0))


def new_socket(chain: Chain) -> int:
    return chain.table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, chain.entry.info, 0, 0)


def refused(handle: int) -> bool:
    with pytest.raises(e.WinsockError) as caught:
        find(handle)
    return caught.value.winerror == e.WSAENOTSOCK


class TestAdopt:
    def test_a_descriptor_is_served_by_the_chain(self, lent: int) -> None:
        chain = opened(Layer)
        record = handles.adopt(lent, chain.entry)
        assert find(lent) is record
        assert (record.handle, record.chain, record.entry, record.table) == (lent, chain, chain.entry, chain.table)
        assert record.context is None

    def test_layers_hear_of_it_from_the_top_down(self, lent: int) -> None:
        chain = opened(Told, Layer, Again)
        handles.adopt(lent, chain.entry)
        assert [("told", lent), ("again", lent)] == TOLD

    def test_so_does_a_base_that_listens(self, lent: int) -> None:
        process.startup(catalog=catalog(Told, base=f"{__name__}:Listening"))
        entry = loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0)
        handles.adopt(lent, entry)
        assert [name for name, _ in TOLD] == ["told", "base"]

    def test_a_layer_that_fails_there_keeps_the_handle_out(self, lent: int, lines: list[str]) -> None:
        chain = opened(Failing)
        with pytest.raises(e.WinsockError) as caught:
            handles.adopt(lent, chain.entry)
        assert caught.value.winerror == e.WSASYSCALLFAILURE
        assert lent not in records
        assert "adopted" in lines[0]

    def test_it_opens_the_chain_where_needed(self, lent: int) -> None:
        process.startup(catalog=catalog())
        assert handles.adopt(lent, loader.catalog().find(1001)).chain.entry.info.dwCatalogEntryId == 1001

    def test_release_leaves_the_descriptor_open(self, lent: int) -> None:
        record = handles.adopt(lent, opened().entry)
        assert handles.release(lent) is record
        assert handles.release(lent) is None
        assert refused(lent)
        os.fstat(lent)

    def test_what_is_not_open_is_no_socket(self) -> None:
        chain = opened()
        with pytest.raises(e.WinsockError) as caught:
            handles.adopt(-1, chain.entry)
        assert caught.value.winerror == e.WSAENOTSOCK


class TestClose:
    def test_the_association_ends_before_the_descriptor(self) -> None:
        chain = opened(Layer)
        s = new_socket(chain)
        handles.close(s)
        assert s not in records
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(s)

    def test_a_second_close_is_of_no_socket(self) -> None:
        s = new_socket(opened())
        handles.close(s)
        with pytest.raises(e.WinsockError) as caught:
            handles.close(s)
        assert caught.value.winerror == e.WSAENOTSOCK

    def test_a_close_that_fails_leaves_the_socket_as_it_was(self) -> None:
        chain = opened(Refusing)
        s = new_socket(chain)
        record = find(s)
        with pytest.raises(e.WinsockError) as caught:
            handles.close(s)
        assert caught.value.winerror == e.WSAEWOULDBLOCK
        assert find(s) is record
        handles.release(s)
        os.close(s)


class Stubborn(RecordingBase):
    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: object) -> None:
        raise e.WinsockError(e.WSAEOPNOTSUPP)


def test_the_last_cleanup_closes_what_cannot_be_reset(lines: list[str]) -> None:
    process.startup(catalog=catalog(base=f"{__name__}:Stubborn"))
    s = new_socket(loader.open_chain(loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0)))
    process.cleanup()
    assert ("WSPCloseSocket", s) in RecordingBase.seen
    assert lines == []


class TestReuse:
    """The number was closed behind our back."""

    def test_another_file_on_the_number_is_no_socket(self) -> None:
        s = new_socket(opened())
        with open(os.devnull) as stranger:
            os.dup2(stranger.fileno(), s)
        assert refused(s)
        assert s not in records
        os.close(s)

    def test_a_closed_number_is_no_socket(self) -> None:
        s = new_socket(opened())
        os.close(s)
        assert refused(s)
        assert s not in records

    def test_another_socket_on_the_number_is_not_ours(self) -> None:
        s = new_socket(opened())
        os.close(s)
        with socket.socket() as stranger:
            if stranger.fileno() != s:
                os.dup2(stranger.fileno(), s)
            assert refused(s)

    def test_a_new_socket_of_ours_on_the_number_is(self) -> None:
        chain = opened(Layer)
        s = new_socket(chain)
        old = records[s]
        os.close(s)
        while (again := new_socket(chain)) != s:
            handles.close(again)
        assert find(s) is not old
        assert find(s).table is chain.table


def test_what_was_never_a_handle_is_no_socket() -> None:
    assert refused(99999)
    assert RecordingBase.seen == []
