"""WSAStartup and WSACleanup: negotiation, counting, and what the last cleanup undoes."""

from __future__ import annotations

import os
import socket

import pytest

from tests.fakes import RecordingBase, catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.sockaddr import SockaddrIn
from winsock.dispatcher import handles, loader, process
from winsock.dispatcher.records import records
from winsock.spi.layer import Layer


class Pass(Layer):
    pass


def word(major: int, minor: int) -> int:
    return major | minor << 8


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        *(((major, minor), (major, minor)) for major, minor in [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]),  # ST-01
        *(((1, minor), (1, 1)) for minor in (2, 15, 255)),  # ST-02
        *((asked, (2, 2)) for asked in [(2, 3), (2, 255), (3, 0), (255, 0), (255, 255)]),  # ST-03
    ],
)
def test_the_version_is_the_highest_that_both_know(requested: tuple[int, int], granted: tuple[int, int]) -> None:
    """INIT-002, INIT-004, INIT-005, ST-01 to ST-03, ST-06."""
    data = process.startup(word(*requested))
    assert data.wVersion == word(*granted)
    assert data.wHighVersion == 0x0202
    assert (data.iMaxSockets, data.iMaxUdpDg) == ((32767, 65467) if requested[0] == 1 else (0, 0))


@pytest.mark.parametrize("minor", [0, 1, 255])
def test_a_version_below_the_lowest_is_refused(minor: int) -> None:
    """INIT-003."""
    with pytest.raises(e.WinsockError) as caught:
        process.startup(word(0, minor))
    assert caught.value.winerror == e.WSAVERNOTSUPPORTED
    assert not process.is_started()


def test_calls_are_counted() -> None:
    """INIT-006, INIT-010."""
    process.startup()
    process.startup()
    process.cleanup()
    assert process.is_started()
    process.cleanup()
    assert not process.is_started()
    with pytest.raises(e.WinsockError) as caught:
        process.cleanup()
    assert caught.value.winerror == e.WSANOTINITIALISED


def test_started_is_a_startup_and_a_cleanup() -> None:
    with process.started() as data:
        assert data.wVersion == 0x0202
        assert process.is_started()
    assert not process.is_started()


def test_the_first_startup_takes_the_catalog() -> None:
    mine = catalog()
    process.startup(catalog=mine)
    process.startup()
    process.startup(catalog=mine)
    assert loader.catalog() is mine
    with pytest.raises(e.WinsockError) as caught:
        process.startup(catalog=catalog())
    assert caught.value.winerror == e.WSAEINVAL


def test_without_a_startup_there_is_no_catalog() -> None:
    with pytest.raises(e.WinsockError) as caught:
        loader.catalog()
    assert caught.value.winerror == e.WSANOTINITIALISED


class TestLastCleanup:
    def open(self) -> tuple[int, int]:
        """A socket of a layered chain, connected; and an adopted one."""
        process.startup(catalog=catalog(Pass))
        entry = loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0)
        s = loader.open_chain(entry).table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, entry.info, 0, 0)
        lent = socket.socket().detach()
        handles.adopt(lent, entry)
        return s, lent

    def test_it_resets_and_frees_what_is_open(self) -> None:
        """INIT-009, SPIINIT-015."""
        s, lent = self.open()
        with socket.create_server(("127.0.0.1", 0)) as server:
            records[s].table.WSPConnect(s, SockaddrIn(*server.getsockname()))
            accepted, _ = server.accept()
            with accepted:
                process.cleanup()
                with pytest.raises(ConnectionResetError):
                    accepted.recv(1)
        assert records == {}
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(s)
        os.close(lent)  # it stayed its owner's

    def test_it_cleans_up_every_start_of_a_provider(self) -> None:
        """SPIINIT-009: one WSPCleanup for each WSPStartup."""
        _, lent = self.open()
        assert RecordingBase.running == 2
        process.cleanup()
        assert RecordingBase.running == 0
        assert loader.opened == {}
        os.close(lent)

    def test_everything_can_begin_again(self) -> None:
        """SPIINIT-016."""
        for _ in range(2):
            _, lent = self.open()
            process.cleanup()
            os.close(lent)

    def test_a_number_that_is_another_file_by_now_is_left_alone(self) -> None:
        s, lent = self.open()
        stranger = os.open(os.devnull, os.O_RDONLY)
        os.dup2(stranger, s)
        process.cleanup()
        for descriptor in (s, stranger, lent):
            os.close(descriptor)

    def test_a_provider_that_fails_in_cleanup_harms_nobody(self, lines: list[str]) -> None:
        process.startup(catalog=catalog(FailingCleanup, Pass))
        loader.open_chain(loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0))
        process.cleanup()
        assert not process.is_started()
        assert "no end" in lines[0]


class FailingCleanup(Layer):
    def WSPCleanup(self) -> None:
        raise RuntimeError("no end")
