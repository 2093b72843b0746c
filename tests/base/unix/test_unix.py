"""Local streams: names, connections, data, who the peer is, and what there is not."""

from __future__ import annotations

import os
import socket as host
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import winsock
from tests.puppet import ROOT
from tests.refusals import code_of, refused
from tests.waiting import DEADLINE_S, wait_until
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEADDRINUSE,
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINTR,
    WSAEINVAL,
    WSAEISCONN,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAESHUTDOWN,
    WSAESOCKTNOSUPPORT,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
)
from winsock.abi.sockaddr import SockaddrIn, SockaddrUn
from winsock.dispatcher import waits


@pytest.fixture(autouse=True)
def _started() -> Iterator[None]:
    with winsock.started():
        yield


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "meeting-point")


def new() -> int:
    s: int = winsock.socket(c.AF_UNIX, c.SOCK_STREAM, 0)
    return s


def listener(path: str | bytes, backlog: int = 5) -> int:
    s = new()
    winsock.bind(s, path)
    winsock.listen(s, backlog)
    return s


def pair(path: str | bytes) -> tuple[int, int]:
    """(client, server)."""
    waiting = listener(path)
    client = new()
    winsock.connect(client, path)
    server, _ = winsock.accept(waiting)
    winsock.closesocket(waiting)
    return client, server


class TestNames:
    """Paths, abstract names, and no names."""

    def test_a_path_is_a_file_which_stays(self, path: str) -> None:
        s = listener(path)
        assert winsock.getsockname(s) == SockaddrUn(path)
        assert os.path.exists(path)
        with refused(WSAEADDRINUSE):
            winsock.bind(new(), path)
        winsock.closesocket(s)
        assert os.path.exists(path)
        with refused(WSAEADDRINUSE):
            winsock.bind(new(), path)
        os.unlink(path)
        winsock.bind(new(), path)

    def test_abstract_names_make_no_file(self, path: str) -> None:
        name = b"\0" + os.fsencode(path)
        s = listener(name)
        assert winsock.getsockname(s) == SockaddrUn(name)
        assert not os.path.exists(path)
        client = new()
        winsock.connect(client, SockaddrUn(name))
        server, peer = winsock.accept(s)
        assert peer == SockaddrUn("")
        assert winsock.getpeername(client) == winsock.getsockname(server) == SockaddrUn(name)
        with refused(WSAEADDRINUSE):
            winsock.bind(new(), name)
        for one in (s, client, server):
            winsock.closesocket(one)
        winsock.bind(new(), name)  # it went with its sockets

    def test_a_client_may_have_a_name(self, path: str) -> None:
        s = listener(path)
        named, nameless = new(), new()
        winsock.bind(named, path + "-of-mine")
        for client, name in ((named, path + "-of-mine"), (nameless, "")):
            winsock.connect(client, path)
            server, peer = winsock.accept(s)
            assert peer == winsock.getpeername(server) == winsock.getsockname(client) == SockaddrUn(name)

    def test_no_name_is_chosen(self) -> None:
        for name in ("", b""):
            with refused(WSAEINVAL, "name"):
                winsock.bind(new(), name)
            with refused(WSAEINVAL, "name"):
                winsock.connect(new(), name)
        with refused(WSAEINVAL):
            winsock.getsockname(new())
        with refused(WSAEINVAL):
            winsock.listen(new(), 1)

    def test_what_is_no_name(self, path: str) -> None:
        for name in (SockaddrIn("127.0.0.1", 9), winsock.SockaddrOther(77, b"x")):
            with refused(WSAEAFNOSUPPORT):
                winsock.bind(new(), name)
            with refused(WSAEAFNOSUPPORT):
                winsock.connect(new(), name)
        for wrong in (None, 7, ("127.0.0.1", 9), "x" * 109):
            with refused(WSAEFAULT):
                winsock.bind(new(), wrong)  # type: ignore[arg-type]
        s = new()
        winsock.bind(s, path)
        with refused(WSAEINVAL, "bound already"):
            winsock.bind(s, path + "2")

    def test_where_there_is_no_folder(self, path: str) -> None:
        with refused(WSAEADDRNOTAVAIL):
            winsock.bind(new(), path + "/below/nothing")

    def test_as_text(self, path: str) -> None:
        (info,) = [info for info in winsock.WSAEnumProtocols() if info.iAddressFamily == c.AF_UNIX]
        for address, text in ((SockaddrUn(path), path), (SockaddrUn(b"\0abstract"), "@abstract")):
            assert winsock.WSAAddressToString(address, info) == text
            assert winsock.WSAStringToAddress(text, c.AF_UNIX, info) == address
        for text in ("x" * 109, "a\0b", "\0abstract", "\ud800", "@\ud800"):
            with refused(WSAEINVAL):
                winsock.WSAStringToAddress(text, c.AF_UNIX, info)
        with refused(WSAEINVAL):
            winsock.WSAAddressToString(SockaddrIn("127.0.0.1", 9), info)


class TestConnections:
    """Connecting and accepting."""

    def test_nobody_listens(self, path: str) -> None:
        with refused(WSAECONNREFUSED):
            winsock.connect(new(), path)
        with refused(WSAECONNREFUSED):
            winsock.connect(new(), path + "/below")
        winsock.closesocket(listener(path))
        s = new()
        with refused(WSAECONNREFUSED):
            winsock.connect(s, path)
        os.unlink(path)
        listener(path)
        winsock.connect(s, path)  # one that was refused may try again

    def test_somebody_elses_file(self, path: str) -> None:
        Path(path).write_text("no socket")
        with refused(WSAECONNREFUSED):
            winsock.connect(new(), path)

    @pytest.mark.root
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    @pytest.mark.usefixtures("nobody")
    def test_a_file_that_is_not_for_us(self, path: str) -> None:
        code = (
            "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "import winsock\n"
            "with winsock.started():\n"
            "    s = winsock.socket(winsock.AF_UNIX, winsock.SOCK_STREAM, 0)\n"
            "    try: winsock.connect(s, sys.argv[1])\n"
            "    except winsock.WinsockError as error: print(error.name)\n"
        )
        name = f"/tmp/winsock-unix-{os.getpid()}"
        s = listener(name)
        try:
            os.chmod(name, 0o600)
            command = [sys.executable, "-c", code, name]
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert (done.stdout, done.stderr) == ("WSAEACCES\n", "")
        finally:
            winsock.closesocket(s)
            os.unlink(name)

    def test_states(self, path: str) -> None:
        s = listener(path)
        client = new()
        winsock.connect(client, path)
        with refused(WSAEISCONN):
            winsock.connect(client, path)
        with refused(WSAEINVAL):
            winsock.connect(s, path)
        with refused(WSAENOTCONN):
            winsock.getpeername(new())
        with refused(WSAENOTCONN):
            winsock.send(new(), b"x")
        with refused(WSAEINVAL):
            winsock.accept(new())
        assert winsock.getsockopt(s, c.SOL_SOCKET, c.SO_ACCEPTCONN) == 1

    def test_without_waiting(self, path: str) -> None:
        s, client = listener(path), new()
        for one in (s, client):
            winsock.ioctlsocket(one, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            winsock.accept(s)
        winsock.connect(client, path)
        assert winsock.select(0, [s], [client], None, 5) == ([s], [client], [])
        server, _ = winsock.accept(s)
        with refused(WSAEWOULDBLOCK):
            winsock.recv(server, 1)

    def test_a_full_queue_refuses_who_does_not_wait(self, path: str) -> None:
        listener(path, 1)
        for _ in range(8):
            s = new()
            winsock.ioctlsocket(s, c.FIONBIO, 1)
            if code_of(lambda s=s: winsock.connect(s, path)) == WSAECONNREFUSED:  # type: ignore[misc]
                break
        else:
            pytest.fail("nobody was refused")

    def test_the_condition_function(self, path: str) -> None:
        s = listener(path)
        client = new()
        winsock.bind(client, path + "-of-mine")
        winsock.connect(client, path)
        asked: list[object] = []

        def reject(*arguments: object) -> int:
            asked.append(arguments[0])
            return c.CF_REJECT

        with refused(WSAECONNREFUSED):
            winsock.WSAAccept(s, reject)
        assert asked == [SockaddrUn(path + "-of-mine")]
        assert winsock.recv(client, 1) == b""

    def test_closing_ends_a_wait(self, path: str) -> None:
        s = listener(path)
        codes: list[int] = []
        waiting = threading.Thread(target=lambda: codes.append(code_of(lambda: winsock.accept(s))), daemon=True)
        waiting.start()
        from winsock.base.inet.own import SOCKETS

        while not SOCKETS[s].waiters:
            pass
        winsock.closesocket(s)
        waiting.join(20)
        assert codes[0] in (WSAEINTR, WSAENOTSOCK, WSAEINVAL)


class TestData:
    """What goes through."""

    def test_bytes_both_ways(self, path: str) -> None:
        client, server = pair(path)
        block = bytes(range(256)) * 8192
        sender = threading.Thread(target=winsock.send, args=(client, block), daemon=True)
        sender.start()
        received = bytearray()
        while len(received) < len(block):
            received += winsock.recv(server, 65536)
        sender.join()
        assert received == block
        assert winsock.WSASend(server, [b"one", b"two"]) == 6
        first, second = bytearray(4), bytearray(4)
        assert winsock.WSARecv(client, [first, second]) == (6, 0)
        assert (bytes(first), bytes(second[:2])) == (b"onet", b"wo")

    def test_the_end(self, path: str) -> None:
        client, server = pair(path)
        winsock.send(client, b"last words")
        winsock.shutdown(client, c.SD_SEND)
        with refused(WSAESHUTDOWN):
            winsock.send(client, b"more")
        assert winsock.recv(server, 100) == b"last words"
        assert winsock.recv(server, 100) == b""
        winsock.send(server, b"answer")
        assert winsock.recv(client, 100) == b"answer"

    def test_flags(self, path: str) -> None:
        client, server = pair(path)
        winsock.send(client, b"twice")
        assert winsock.recv(server, 5, c.MSG_PEEK) == winsock.recv(server, 5, c.MSG_WAITALL) == b"twice"
        with refused(WSAEOPNOTSUPP):
            winsock.send(client, b"!", c.MSG_OOB)
        with refused(WSAEOPNOTSUPP):
            winsock.recv(server, 1, c.MSG_OOB)

    def test_time_outs_and_what_can_be_read(self, path: str) -> None:
        client, server = pair(path)
        winsock.setsockopt(server, c.SOL_SOCKET, c.SO_RCVTIMEO, 10)
        with refused(WSAETIMEDOUT):
            winsock.recv(server, 1)
        winsock.send(client, b"12345")
        assert winsock.ioctlsocket(server, c.FIONREAD) == 5
        assert winsock.ioctlsocket(server, c.SIOCATMARK) == 1
        assert winsock.recvfrom(server, 10) == (b"12345", None)
        assert winsock.sendto(server, b"no address is needed", 0, None) == 20

    def test_network_events(self, path: str) -> None:
        client, server = pair(path)
        event = winsock.WSACreateEvent()
        winsock.WSAEventSelect(server, event, c.FD_READ | c.FD_CLOSE)
        winsock.send(client, b"x")
        assert winsock.WSAWaitForMultipleEvents([event], False, 5000, False) == 0
        assert winsock.WSAEnumNetworkEvents(server, event).lNetworkEvents == c.FD_READ
        winsock.recv(server, 10)
        winsock.closesocket(client)
        assert winsock.WSAWaitForMultipleEvents([event], False, 5000, False) == 0
        assert winsock.WSAEnumNetworkEvents(server, event).lNetworkEvents == c.FD_CLOSE
        winsock.WSACloseEvent(event)

    def test_with_a_program_of_the_host(self, path: str) -> None:
        s = listener(path)
        with host.socket(host.AF_UNIX) as plain:
            plain.connect(path)
            server, _ = winsock.accept(s)
            plain.sendall(b"hello")
            assert winsock.recv(server, 10) == b"hello"


class TestPeer:
    """SIO_AF_UNIX_GETPEERPID."""

    def test_both_ends(self, path: str) -> None:
        for s in pair(path):
            assert winsock.WSAIoctl(s, c.SIO_AF_UNIX_GETPEERPID, None, 4) == os.getpid().to_bytes(4, "little")

    def test_another_process(self, path: str) -> None:
        s = listener(path)
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE) as program:
            server, _ = winsock.accept(s)
            assert winsock.WSAIoctl(server, c.SIO_AF_UNIX_GETPEERPID, None, 4) == program.pid.to_bytes(4, "little")
            assert program.stdin is not None
            program.stdin.close()

    def test_nobody(self, path: str) -> None:
        for s in (new(), listener(path)):
            with refused(WSAENOTCONN):
                winsock.WSAIoctl(s, c.SIO_AF_UNIX_GETPEERPID, None, 4)
        with refused(WSAEFAULT):
            winsock.WSAIoctl(pair(path + "2")[0], c.SIO_AF_UNIX_GETPEERPID, None, 3)
        with refused(WSAEOPNOTSUPP):
            winsock.WSAIoctl(winsock.socket(c.AF_INET, c.SOCK_STREAM, 0), c.SIO_AF_UNIX_GETPEERPID, None, 4)


OF_THE_NETWORK = [(c.IPPROTO_TCP, c.TCP_NODELAY), (c.IPPROTO_IP, c.IP_TTL), (c.IPPROTO_IPV6, c.IPV6_V6ONLY)]


class TestNothing:
    """What local streams do not have."""

    def test_other_types(self) -> None:
        for type in (c.SOCK_DGRAM, c.SOCK_RAW):
            with refused(WSAESOCKTNOSUPPORT):
                winsock.socket(c.AF_UNIX, type, 0)
        for protocol in (c.IPPROTO_TCP, 1):
            assert code_of(lambda protocol=protocol: winsock.socket(c.AF_UNIX, c.SOCK_STREAM, protocol))  # type: ignore[misc]

    def test_options_of_the_network(self) -> None:
        s = new()
        for level, option in OF_THE_NETWORK:
            with refused(WSAENOPROTOOPT):
                winsock.getsockopt(s, level, option)
            with refused(WSAENOPROTOOPT):
                winsock.setsockopt(s, level, option, 1)
        with refused(WSAENOPROTOOPT):
            winsock.getsockopt(s, c.SOL_SOCKET, c.SO_DONTROUTE)

    def test_options_of_all_sockets_opt_018(self) -> None:
        s = new()
        assert winsock.getsockopt(s, c.SOL_SOCKET, c.SO_TYPE) == c.SOCK_STREAM
        info = winsock.getsockopt(s, c.SOL_SOCKET, c.SO_PROTOCOL_INFO)
        assert getattr(info, "szProtocol", None) == "AF_UNIX"
        for option in (c.SO_KEEPALIVE, c.SO_REUSEADDR, c.SO_DEBUG):
            winsock.setsockopt(s, c.SOL_SOCKET, option, 1)
            assert winsock.getsockopt(s, c.SOL_SOCKET, option) == 1

    def test_codes_of_the_network(self) -> None:
        for code in (c.SIO_KEEPALIVE_VALS, c.SIO_TCP_INFO, c.SIO_ADDRESS_LIST_QUERY, c.SIO_RCVALL):
            with refused(WSAEOPNOTSUPP):
                winsock.WSAIoctl(new(), code, bytes(64), 256)

    def test_connect_data_and_sessions(self, path: str) -> None:
        with refused(WSAEPROTONOSUPPORT):
            winsock.WSAConnect(new(), path, b"data")
        with refused(WSAEINVAL):
            winsock.WSAJoinLeaf(new(), path, None, None, None, None, c.JL_BOTH)


def test_what_is_left_open_ends_with_winsock(path: str) -> None:
    client, server = pair(path)
    winsock.WSACleanup()
    for s in (client, server):
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(s)
    winsock.WSAStartup(0x0202)


@pytest.mark.parametrize("buffers", [[10], [1, 2, 0, 7], [1] * 1100])
def test_to_wait_for_all_gets_what_came_before_a_reset_and_then_the_reset(path: str, buffers: list[int]) -> None:
    client, server = pair(path)
    winsock.send(server, b"never read")
    winsock.send(client, b"some")
    given = [bytearray(size) for size in buffers]
    received: list[tuple[int, int] | None] = []
    thread = threading.Thread(
        target=lambda: received.append(winsock.WSARecv(server, given, c.MSG_WAITALL)), daemon=True
    )
    thread.start()
    wait_until(lambda: not winsock.ioctlsocket(server, c.FIONREAD), "for the first bytes to be taken")
    winsock.closesocket(client)
    thread.join(DEADLINE_S)
    assert (received, b"".join(given)[:5]) == ([(4, 0)], b"some\0")
    for flags in (c.MSG_WAITALL, 0):
        with refused(WSAECONNRESET):
            winsock.recv(server, 10, flags)


def test_to_wait_for_all_gets_what_came_before_a_time_out(path: str) -> None:
    client, server = pair(path)
    winsock.setsockopt(server, c.SOL_SOCKET, c.SO_RCVTIMEO, 50)
    winsock.send(client, b"some")
    assert winsock.recv(server, 10, c.MSG_WAITALL) == b"some"
    with refused(WSAETIMEDOUT):
        winsock.recv(server, 10, c.MSG_WAITALL)
    winsock.send(client, b"more")
    winsock.shutdown(client, c.SD_SEND)
    assert [winsock.recv(server, 10, c.MSG_WAITALL) for _ in range(2)] == [b"more", b""]


@pytest.mark.parametrize("how", [c.SD_RECEIVE, c.SD_BOTH])
def test_a_poll_tells_of_the_peers_end_only(path: str, how: int) -> None:
    client, server = pair(path)
    winsock.shutdown(server, how)
    assert winsock.WSAPoll([(server, c.POLLIN | c.POLLOUT)], 0) == [(server, c.POLLWRNORM)]
    assert winsock.WSAPoll([(server, 0)], 1) == []
    answers: list[list[tuple[int, int]]] = []
    thread = threading.Thread(target=lambda: answers.append(winsock.WSAPoll([(server, 0)], -1)), daemon=True)
    thread.start()
    wait_until(lambda: server in waits.waiting, "for the poll to wait")
    winsock.closesocket(client)
    thread.join(DEADLINE_S)
    assert answers == [[(server, c.POLLHUP)]]


@pytest.mark.parametrize("how", [c.SD_RECEIVE, c.SD_BOTH])
def test_an_event_tells_of_the_peers_end_only(path: str, how: int) -> None:
    client, server = pair(path)
    event = winsock.WSACreateEvent()
    winsock.WSAEventSelect(server, event, c.FD_CLOSE)
    winsock.shutdown(server, how)
    assert winsock.WSAWaitForMultipleEvents([event], False, 0) == c.WSA_WAIT_TIMEOUT
    winsock.closesocket(client)
    assert winsock.WSAWaitForMultipleEvents([event], False, 20_000) == c.WSA_WAIT_EVENT_0
    assert winsock.WSAEnumNetworkEvents(server, event).lNetworkEvents == c.FD_CLOSE


def test_a_peer_that_has_not_been_accepted_has_not_ended(path: str) -> None:
    waiting, client = listener(path), new()
    winsock.connect(client, path)
    winsock.shutdown(client, c.SD_RECEIVE)
    assert winsock.WSAPoll([(client, c.POLLOUT)], 0) == [(client, c.POLLWRNORM)]
    winsock.closesocket(waiting)
    assert winsock.WSAPoll([(client, 0)], 20_000)[0][1] & c.POLLHUP


def test_it_can_be_shared(path: str) -> None:
    """As sockets of the internet can (DUP)."""
    client, server = pair(path)
    info = winsock.WSADuplicateSocket(client, os.getpid())
    twin = winsock.WSASocket(c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, info)
    winsock.closesocket(client)
    winsock.send(twin, b"still here")
    assert winsock.recv(server, 100) == b"still here"
