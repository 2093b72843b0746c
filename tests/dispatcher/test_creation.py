"""Which provider makes a socket, and which is asked next (SOCK)."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.fakes import RECORDING, RecordingBase
from tests.fakes import catalog as layered
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.api import options, sockets, startup
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry
from winsock.dispatcher import loader, process
from winsock.dispatcher.records import records
from winsock.spi.layer import Layer
from winsock.spi.provider import WSPDATA, ProcTable
from winsock.spi.upcalls import Upcalls

HERE = __name__
TCP = (c.AF_INET, c.SOCK_STREAM, c.IPPROTO_TCP)
FROM = c.FROM_PROTOCOL_INFO

ANOTHER_MAY = [
    e.WSAEINPROGRESS,
    e.WSAEAFNOSUPPORT,
    e.WSAESOCKTNOSUPPORT,
    e.WSAEPROTONOSUPPORT,
    e.WSAEPROTOTYPE,
]


class Refusing(RecordingBase):
    """Writes down what it is asked, and refuses."""

    code: ClassVar[int] = e.WSAEINPROGRESS

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        self.seen.append(("refused", (af, type, protocol, protocol_info, g, flags)))
        raise e.WinsockError(self.code, f"refused by {self.info.dwCatalogEntryId}")


class NotStarting(RecordingBase):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        raise e.WinsockError(e.WSAEPROTOTYPE, "a bad day")


class RefusingLayer(Layer):
    code: ClassVar[int] = e.WSAEAFNOSUPPORT

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        raise e.WinsockError(self.code, "not for you")


class Passing(Layer):
    pass


def entry(entry_id: int, path: str, pattern: WSAPROTOCOL_INFO = BUILTIN[0].info) -> CatalogEntry:
    """A base protocol of a provider of its own."""
    info = pattern._replace(dwCatalogEntryId=entry_id, ProviderId=GUID(entry_id, 0, 0, bytes(8)))
    return CatalogEntry(info, path)


REFUSING = f"{HERE}:Refusing"


def use(*entries: CatalogEntry) -> Catalog:
    process.startup(catalog=Catalog(entries))
    return loader.catalog()


def maker_of(s: int) -> int:
    return records[s].entry.info.dwCatalogEntryId


class TestFirstMatch:
    def test_the_first_in_order_makes_it(self) -> None:
        """SOCK-010."""
        use(entry(5, RECORDING), entry(3, RECORDING))
        assert maker_of(sockets.socket(*TCP)) == maker_of(sockets.WSASocket(*TCP)) == 5
        assert [start.dwCatalogEntryId for start in RecordingBase.starts] == [5], "the other was not even started"

    @pytest.mark.parametrize("code", ANOTHER_MAY, ids=e.name_of)
    def test_a_refusal_is_passed_over(self, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Refusing, "code", code)
        installed = use(entry(5, REFUSING), entry(6, REFUSING), entry(7, RECORDING), entry(8, RECORDING))
        s = sockets.WSASocket(0, c.SOCK_STREAM, 0, None, 4711, c.WSA_FLAG_OVERLAPPED)
        assert maker_of(s) == 7
        asked = [
            (name, found.info) for name, found in zip(("refused", "refused", "WSPSocket"), installed, strict=False)
        ]
        assert RecordingBase.seen == [
            (name, (0, c.SOCK_STREAM, 0, info, 4711, c.WSA_FLAG_OVERLAPPED)) for name, info in asked
        ], "each is asked with its own description, and with the values as they were given"

    @pytest.mark.parametrize(
        "code", [e.WSAEMFILE, e.WSAENOBUFS, e.WSAENETDOWN, e.WSAEINVAL, e.WSAEACCES], ids=e.name_of
    )
    def test_another_error_is_the_answer(self, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Refusing, "code", code)
        use(entry(5, REFUSING), entry(6, RECORDING))
        for make in (sockets.socket, sockets.WSASocket):
            with refused(code, "by 5"):
                make(*TCP)
        assert startup.WSAGetLastError() == code

    def test_where_all_refuse_the_first_is_heard(self) -> None:
        use(entry(5, REFUSING), entry(6, REFUSING))
        with refused(e.WSAEINPROGRESS, "by 5"):
            sockets.socket(*TCP)

    def test_a_provider_that_does_not_start_is_not_passed_over_sock_013_sock_014(self) -> None:
        use(entry(5, f"{HERE}:NotStarting"), entry(6, RECORDING))
        with refused(e.WSAEPROTOTYPE, "bad day"):
            sockets.socket(*TCP)
        process.cleanup()
        use(entry(5, "no.such.module:Provider"), entry(6, RECORDING))
        with refused(e.WSAEPROVIDERFAILEDINIT):
            sockets.socket(*TCP)

    def test_no_socket_goes_round_a_layer_that_refuses(self) -> None:
        """Design rule 6: what stands below is not asked by itself, whatever the error."""
        process.startup(catalog=layered(RefusingLayer))
        with refused(e.WSAEAFNOSUPPORT, "not for you"):
            sockets.socket(*TCP)
        with refused(e.WSAEAFNOSUPPORT, "not for you"):
            sockets.socket(0, c.SOCK_STREAM, c.IPPROTO_TCP)  # the chain over IPv6 refuses too
        assert RecordingBase.seen == []

    def test_part_of_a_chain_is_not_asked_either(self) -> None:
        whole = layered(RefusingLayer, Passing)
        chain = whole.match(*TCP)
        _, passing, base = chain.info.ProtocolChain.ChainEntries
        part = whole.find(base).info._replace(dwCatalogEntryId=9000, ProtocolChain=WSAPROTOCOLCHAIN(2, (passing, base)))
        process.startup(catalog=Catalog((chain, CatalogEntry(part, chain.path), *whole.entries)))
        with refused(e.WSAEAFNOSUPPORT, "not for you"):
            sockets.socket(*TCP)
        assert RecordingBase.seen == []
        assert maker_of(sockets.WSASocket(FROM, FROM, FROM, part)) == 9000

    def test_an_entry_beside_a_refusing_chain_is_asked(self) -> None:
        process.startup(catalog=Catalog((*layered(RefusingLayer), entry(5000, RECORDING))))
        assert maker_of(sockets.socket(*TCP)) == 5000

    def test_before_startup_there_is_no_match(self) -> None:
        for make in (sockets.socket, sockets.WSASocket):
            with refused(e.WSANOTINITIALISED):
                make(*TCP)

    def test_another_catalog_has_other_matches(self) -> None:
        use(entry(5, RECORDING))
        sockets.closesocket(sockets.socket(*TCP))
        process.cleanup()
        use(entry(6, RECORDING))
        assert maker_of(sockets.socket(*TCP)) == 6


class TestDescription:
    @pytest.mark.parametrize("values", [(FROM, FROM, FROM), (0, 0, 0), (1, 2, 3), (FROM, 0, 99)])
    def test_nothing_is_matched_and_nothing_changed_sock_016(self, values: tuple[int, int, int]) -> None:
        installed = use(entry(5, RECORDING), entry(6, RECORDING))
        given = installed.find(6).info._replace(szProtocol="the caller's own copy")
        s = sockets.WSASocket(*values, given, 7, c.WSA_FLAG_OVERLAPPED)
        assert maker_of(s) == 6
        assert RecordingBase.seen == [("WSPSocket", (*values, given, 7, c.WSA_FLAG_OVERLAPPED))]  # SOCK-016
        assert RecordingBase.seen[0][1][3] is given

    @pytest.mark.parametrize("code", ANOTHER_MAY, ids=e.name_of)
    def test_its_refusal_is_the_answer(self, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Refusing, "code", code)
        installed = use(entry(5, REFUSING), entry(6, RECORDING))
        for values in ((FROM, FROM, FROM), TCP):
            with refused(code, "by 5"):
                sockets.WSASocket(*values, installed.find(5).info)

    def test_a_twin_of_the_same_provider_is_no_way_round_a_refusal(self) -> None:
        twin = entry(6, RECORDING)
        installed = use(entry(5, REFUSING), twin._replace(info=twin.info._replace(ProviderId=GUID(5, 0, 0, bytes(8)))))
        with refused(e.WSAEINPROGRESS, "by 5"):
            sockets.WSASocket(*TCP, installed.find(5).info)

    def test_a_layer_by_itself_opens_nothing_sock_017(self) -> None:
        process.startup(catalog=layered(Passing))
        [dummy] = [found.info for found in loader.catalog() if found.info.chain_length == c.LAYERED_PROTOCOL]
        with refused(e.WSAEINVAL, "by itself"):
            sockets.WSASocket(FROM, FROM, FROM, dummy)

    def test_the_chain_that_is_described_is_used_whole(self) -> None:
        process.startup(catalog=layered(RefusingLayer))
        chain, base = loader.catalog().match(*TCP), loader.catalog().find(1001)
        with refused(e.WSAEAFNOSUPPORT, "not for you"):
            sockets.WSASocket(FROM, FROM, FROM, chain.info)
        assert maker_of(sockets.WSASocket(FROM, FROM, FROM, base.info)) == 1001, "the base was asked for by name"

    def test_before_startup_nothing_is_described(self) -> None:
        with refused(e.WSANOTINITIALISED):
            sockets.WSASocket(*TCP, BUILTIN[0].info)


def test_the_attribute_is_socket_s_default_and_wsasocket_s_choice_sock_015() -> None:
    use(entry(5, RECORDING))
    sockets.socket(*TCP)
    sockets.WSASocket(*TCP)
    sockets.WSASocket(*TCP, None, 0, c.WSA_FLAG_OVERLAPPED)
    options.setsockopt(-1, c.SOL_SOCKET, c.SO_OPENTYPE, c.SO_SYNCHRONOUS_NONALERT)
    try:
        sockets.socket(*TCP)
        sockets.WSASocket(*TCP, None, 0, c.WSA_FLAG_OVERLAPPED)
    finally:
        options.setsockopt(-1, c.SOL_SOCKET, c.SO_OPENTYPE, 0)
    flags = [arguments[5] for _, arguments in RecordingBase.seen]
    assert flags == [1, 0, 1, 0, 1]  # SOCK-015


class Keeping(Layer):
    """Refuses to close."""

    def WSPCloseSocket(self, s: int) -> None:
        raise e.WinsockError(e.WSAEWOULDBLOCK, "not now")


def test_a_socket_that_could_not_be_closed_stays_as_it_was() -> None:
    process.startup(catalog=layered(Keeping))
    s = sockets.socket(*TCP)
    record = records[s]
    with refused(e.WSAEWOULDBLOCK, "not now"):
        sockets.closesocket(s)
    assert startup.WSAGetLastError() == e.WSAEWOULDBLOCK
    assert records[s] is record
