"""Hosts, the ways between them, what goes wrong, and the record of it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import pytest

from tests.base.memory.land import ALICE, BOB, Land, address, blocking, going_on, nonblocking, refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FD_CLOSE,
    IPPROTO_TCP,
    SO_BROADCAST,
    SO_RCVBUF,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_MAXRT,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEHOSTUNREACH,
    WSAEINTR,
    WSAENETDOWN,
    WSAENETUNREACH,
    WSAENOBUFS,
    WSAENOTSOCK,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WSASYSNOTREADY,
    InternalError,
)
from winsock.abi.sockaddr import SockaddrIn6
from winsock.api import events, options, sockets, transfer, waiting
from winsock.base.memory import Conditions, Network, entries
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry
from winsock.dispatcher.process import started
from winsock.overlapped.messages import MessageQueue

# Which host a socket is of.


def test_a_thread_is_on_the_host_that_it_says_or_else_on_the_first() -> None:
    with Land() as land:
        with land.bob:
            sockets.bind(sockets.socket(AF_INET, SOCK_DGRAM, 0), (BOB, 7))
            with land.alice:
                sockets.bind(sockets.socket(AF_INET, SOCK_DGRAM, 0), (ALICE, 7))
            sockets.bind(sockets.socket(AF_INET, SOCK_DGRAM, 0), (BOB, 8))
        sockets.bind(sockets.socket(AF_INET, SOCK_DGRAM, 0), (ALICE, 9))


def test_a_socket_has_no_address_of_another_host() -> None:
    with Land() as land, land.alice:
        refused(WSAEADDRNOTAVAIL, lambda: sockets.bind(sockets.socket(AF_INET, SOCK_DGRAM, 0), (BOB, 7)))


def test_a_spawned_thread_is_on_its_host() -> None:
    seen = []
    with Land() as land:
        land.bob.spawn(lambda: seen.append(sockets.getsockname(land.datagram(land.bob))))
        land.network.run()
    assert [getattr(name, "host", None) for name in seen] == [BOB]


def test_every_host_has_a_loopback_of_its_own() -> None:
    with Land(latency=5.0) as land:
        with land.alice:
            mine = sockets.socket(AF_INET, SOCK_DGRAM, 0)
        sockets.bind(mine, ("127.0.0.1", 7))
        transfer.sendto(mine, b"to myself", 0, ("127.0.0.1", 7))
        assert transfer.recvfrom(mine, 100)[0] == b"to myself"
        assert land.network.now == 0.0
        transfer.sendto(land.datagram(land.bob), b"to nobody", 0, ("127.0.0.1", 7))
        refused(WSAEWOULDBLOCK, lambda: transfer.recvfrom(nonblocking(mine), 100))


def test_a_network_without_hosts_has_no_sockets() -> None:
    with started(catalog=Network().catalog()):
        refused(WSAENETDOWN, lambda: sockets.socket(AF_INET, SOCK_STREAM, 0))


def test_an_address_is_one_hosts() -> None:
    network = Network()
    network.host(ALICE, name="alice")
    with pytest.raises(ValueError, match=r"10\.0\.0\.1 is the address of alice"):
        network.host(ALICE)


@pytest.mark.parametrize(
    "address", ["", "alice", "10.0.0.256", "10.1", "0.0.0.0", "::", "127.0.0.1", "::1", "224.0.0.1", "255.255.255.255"]
)
def test_what_is_no_address_of_a_host(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Network().host(address)


def test_an_address_is_the_same_in_any_spelling() -> None:
    with Land() as land:
        carol = land.network.host("FD00:0:0::3")
        assert carol.addresses == ("fd00::3",)
        with pytest.raises(ValueError, match="fd00::3 is the address of"):
            land.network.host("fd00:0::3")
        with carol:
            s = sockets.socket(AF_INET6, SOCK_DGRAM, 0)
            sockets.bind(s, SockaddrIn6("fd00:0:0::3", 7))
        sender = sockets.socket(AF_INET6, SOCK_DGRAM, 0)
        for text in ("fd00::3", "FD00:0::3", "fd00:0:0:0:0:0:0:3"):
            transfer.sendto(sender, b"x", 0, SockaddrIn6(text, 7))
            assert transfer.recv(s, 10) == b"x"


def test_its_entries_go_beside_others() -> None:
    network = Network(name="simulated")
    network.host(ALICE)
    catalog = Catalog([*BUILTIN, *entries(network, first_id=5001)])
    with started(catalog=catalog):
        info = catalog.find(5001).info
        s = sockets.WSASocket(-1, -1, -1, info)
        sockets.bind(s, (ALICE, 7))
        real = sockets.socket(AF_INET, SOCK_STREAM, 0)
        refused(WSAEADDRNOTAVAIL, lambda: sockets.bind(real, (ALICE, 7)))
        assert info.szProtocol == "simulated [TCP/IP]"


def test_a_provider_without_its_network_does_not_start() -> None:
    infos = [entry.info for entry in Network().catalog()]
    gc.collect()
    with started(catalog=Catalog([CatalogEntry(info, "winsock.base.memory:Memory") for info in infos])):
        refused(WSASYSNOTREADY, lambda: sockets.socket(AF_INET, SOCK_STREAM, 0))


# What goes wrong.


def test_a_partition_drops_everything_until_it_heals() -> None:
    with Land(latency=0.01) as land:
        client, server = land.connected()
        land.network.partition([land.alice])
        transfer.send(client, b"through the wall")
        land.settle(2.0)
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(nonblocking(server), 100))
        land.network.heal()
        land.settle(10.0)
        assert transfer.recv(server, 100) == b"through the wall"


def test_what_is_under_way_when_a_partition_begins_is_lost() -> None:
    with Land(latency=1.0) as land:
        one, other = land.datagram(land.alice), land.datagram(land.bob, 7)
        transfer.sendto(one, b"halfway", 0, (BOB, 7))
        land.settle(0.5)
        land.network.partition([land.alice], [land.bob])
        land.settle()
        refused(WSAEWOULDBLOCK, lambda: transfer.recvfrom(nonblocking(other), 100))
        assert any(line.endswith("cut off") for line in land.lines)


def test_partitions_may_overlap() -> None:
    with Land() as land:
        carol = land.network.host("10.0.0.3", name="carol")
        land.network.partition([land.alice])
        land.network.partition([carol], [land.alice, land.bob])
        link = land.network.between(land.alice, carol)
        assert link is not None
        assert link.blocked == 2
        land.network.heal()
        assert link.blocked == 0


def test_a_dead_peer_is_found_out_by_who_sends() -> None:
    with Land(latency=0.01) as land:
        client, _ = land.connected()
        land.bob.crash()
        transfer.send(client, b"hello?")
        refused(WSAETIMEDOUT, lambda: transfer.recv(client, 100))
        assert land.network.now > 5.0


def test_patience_with_a_dead_peer_may_be_set() -> None:
    with Land(latency=0.01) as land:
        client, _ = land.connected()
        options.setsockopt(client, IPPROTO_TCP, TCP_MAXRT, 2)
        land.bob.crash()
        began = land.network.now
        transfer.send(client, b"hello?")
        refused(WSAETIMEDOUT, lambda: transfer.recv(client, 100))
        assert land.network.now - began == pytest.approx(2.0)


def test_a_host_that_is_up_again_knows_nothing_of_before() -> None:
    with Land(latency=0.01) as land:
        client, _ = land.connected()
        land.bob.crash()
        land.bob.restart()
        transfer.send(client, b"remember me?")
        refused(WSAECONNRESET, lambda: transfer.recv(client, 100))
        listener = land.listener(land.bob, 80)
        going_on(lambda: sockets.connect(nonblocking(land.stream(land.alice)), (BOB, 80)))
        sockets.accept(listener)


def test_a_crash_leaves_handles_that_are_good_for_closing() -> None:
    with Land() as land:
        client, server = land.connected()
        listener = land.listener(land.bob, 80)
        land.bob.crash()
        refused(WSAENETDOWN, lambda: land.stream(land.bob))
        land.bob.restart()
        for call in (lambda: transfer.send(server, b"x"), lambda: sockets.accept(listener)):
            refused(WSAENETDOWN, call)
        sockets.closesocket(server)
        sockets.closesocket(listener)
        assert land.network.sockets.keys() == {client}
        assert land.bob.reserved_bytes == 0


@pytest.mark.parametrize("what", ["crash", "stop"])
def test_what_happens_to_all_sockets_of_a_host_happens_in_one_order(what: str) -> None:
    with Land() as land:
        queue = MessageQueue()
        made = [land.stream(land.bob) for _ in range(20)]
        for s in made:
            events.WSAAsyncSelect(s, queue, 0x401, FD_CLOSE)
        getattr(land.bob, what)()
        told = []
        while (message := queue.get(0)) is not None:
            told.append(message.wparam)
        assert told == made


def test_a_crash_ends_calls_that_wait() -> None:
    with Land() as land:
        _, server = land.connected()
        land.network.at(5.0, land.bob.crash)
        refused(WSAENETDOWN, lambda: transfer.recv(server, 100))
        assert land.network.now == 5.0


def test_a_network_that_fails_fails_every_call_and_works_again() -> None:
    with Land() as land:
        client, server = land.connected()
        land.network.stop()
        calls: tuple[Callable[[], object], ...] = (
            lambda: land.stream(land.alice),
            lambda: transfer.send(client, b"x"),
            lambda: transfer.recv(server, 1),
            lambda: sockets.getsockname(client),
            lambda: options.getsockopt(client, SOL_SOCKET, SO_BROADCAST),
        )
        for call in calls:
            refused(WSAENETDOWN, call)
        land.network.start()
        transfer.send(client, b"again")
        assert transfer.recv(server, 10) == b"again"


def test_a_network_that_fails_ends_calls_that_wait() -> None:
    with Land() as land:
        listener = land.listener(land.bob)
        land.network.at(5.0, land.network.stop)
        refused(WSAENETDOWN, lambda: sockets.accept(listener))


def test_there_may_be_no_way() -> None:
    with Land() as land:
        land.network.unlink(land.alice, land.bob)
        client = land.stream(land.alice)
        refused(WSAENETUNREACH, lambda: sockets.connect(client, (BOB, 80)))
        refused(WSAEHOSTUNREACH, lambda: sockets.connect(client, ("10.9.9.9", 80)))
        refused(WSAENETUNREACH, lambda: transfer.sendto(land.datagram(land.alice), b"x", 0, (BOB, 7)))
        land.network.relink(land.alice, land.bob)
        refused(WSAECONNREFUSED, lambda: sockets.connect(client, (BOB, 80)))  # CONN-025


def test_sockets_and_buffers_are_finite() -> None:
    with Land() as land:
        few = land.network.host("10.0.0.3", most_sockets=2)
        poor = land.network.host("10.0.0.4", buffer_bytes=300_000)
        kept = [land.stream(few), land.stream(few)]
        refused(WSAENOBUFS, lambda: land.stream(few))
        sockets.closesocket(kept.pop())
        land.stream(few)
        s = land.stream(poor)
        refused(WSAENOBUFS, lambda: options.setsockopt(s, SOL_SOCKET, SO_RCVBUF, 300_000))
        options.setsockopt(s, SOL_SOCKET, SO_RCVBUF, 200_000)
        refused(WSAENOBUFS, lambda: land.stream(poor))


def test_a_socket_that_cannot_be_had_leaves_the_connection_waiting() -> None:
    with Land() as land:
        few = land.network.host("10.0.0.3", most_sockets=1)
        listener = land.listener(few, 80)
        going_on(lambda: sockets.connect(nonblocking(land.stream(land.alice)), ("10.0.0.3", 80)))
        refused(WSAENOBUFS, lambda: sockets.accept(listener))
        few.most_sockets = 2
        sockets.accept(listener)


def test_conditions_may_be_a_links_own() -> None:
    with Land(latency=1.0) as land:
        land.network.link(land.alice, land.bob, latency=0.25, one_way=True)
        there, back = land.datagram(land.bob, 7), land.datagram(land.alice, 7)
        transfer.sendto(back, b"x", 0, (BOB, 7))
        transfer.recvfrom(there, 1)
        assert land.network.now == 0.25
        transfer.sendto(there, b"x", 0, (ALICE, 7))
        transfer.recvfrom(back, 1)
        assert land.network.now == 1.25


# Time.


def test_a_call_for_what_never_comes_is_an_error_that_names_it() -> None:
    with Land() as land:
        s = land.datagram(land.alice, 7)
        with pytest.raises(InternalError, match=r"a datagram on <UDP/IP \d+ of alice at 10.0.0.1:7, bound>"):
            transfer.recvfrom(s, 1)


def test_two_ends_that_wait_for_each_other_are_found_out() -> None:
    with Land() as land:
        client, server = land.connected()
        for end in (client, server):
            land.alice.spawn(transfer.send, end, bytes(1 << 20))
        with pytest.raises(InternalError, match=r"room to send.*room to send"):
            land.network.run()


def test_closing_ends_calls_that_wait() -> None:
    with Land() as land:
        listener = land.listener(land.bob)
        land.bob.spawn(lambda: refused(WSAEINTR, lambda: sockets.accept(listener)))
        land.network.at(1.0, sockets.closesocket, listener)
        land.network.run()


def test_a_program_that_polls_gets_on() -> None:
    with Land(latency=0.005) as land:
        one, other = land.datagram(land.alice), nonblocking(land.datagram(land.bob, 7))
        transfer.sendto(one, b"at last", 0, (BOB, 7))
        looks = 0
        while waiting.select(0, [other], None, None, 0) == ([], [], []):
            looks += 1
        assert 100 < looks < 1000
        assert transfer.recvfrom(other, 10)[0] == b"at last"


# The record.


def scenario(seed: int) -> str:
    """Streams, datagrams, threads and faults."""
    land = Land(seed, latency=0.01, jitter=0.02, loss=0.1, duplicate=0.05, reorder=0.05, bandwidth=1e6)

    def serve() -> None:
        listener = land.listener(land.bob, 80)
        for _ in range(2):
            s, _ = sockets.accept(listener)
            while data := transfer.recv(s, 1000):
                transfer.send(s, data.upper())
            sockets.closesocket(s)

    def ask(size: int) -> None:
        s = land.stream(land.alice)
        land.network.sleep(0.1)
        sockets.connect(s, (BOB, 80))
        transfer.send(s, bytes(size))
        sockets.shutdown(s, 1)
        received = 0
        while data := transfer.recv(s, 1000):
            received += len(data)
        assert received == size
        sockets.closesocket(s)

    with land:
        land.network.at(0.3, land.network.partition, [land.alice])
        land.network.at(1.0, land.network.heal)
        land.bob.spawn(serve)
        land.alice.spawn(ask, 20_000)
        land.alice.spawn(ask, 5_000)
        land.network.run()
        s = land.datagram(land.alice)
        for n in range(50):
            transfer.sendto(s, bytes(n), 0, (BOB, 7))
        land.settle(100.0)
    return land.network.transcript()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_program_and_seed_give_the_same_trace(seed: int) -> None:
    assert scenario(seed) == scenario(seed)


def test_another_seed_gives_another() -> None:
    assert scenario(1) != scenario(2)


def test_the_trace_tells_what_was_sent_when_and_what_became_of_it() -> None:
    with Land(latency=0.5) as land:
        one, other = land.datagram(land.alice, 7), land.datagram(land.bob, 7)
        transfer.sendto(one, b"hello", 0, address(land.bob, 7))
        transfer.recvfrom(other, 10)
        transfer.sendto(other, b"??", 0, address(land.alice, 99))
        land.settle()
        land.bob.crash()
    assert land.lines == [
        "0.000000 UDP/IP 10.0.0.1:7 > 10.0.0.2:7 5 bytes arrives 0.500000",
        "0.500000 UDP/IP 10.0.0.2:7 > 10.0.0.1:99 2 bytes arrives 1.000000",
        "1.000000 UDP/IP 10.0.0.2:7 > 10.0.0.1:99 2 bytes nobody there",
        "1.000000 UDP/IP 10.0.0.1:99 > 10.0.0.2:7 nobody there arrives 1.500000",
        "1.500000 crash bob",
    ]


def test_a_network_may_keep_no_record() -> None:
    network = Network(trace=False)
    network.host(ALICE)
    with started(catalog=network.catalog()):
        s = sockets.socket(AF_INET, SOCK_DGRAM, 0)
        transfer.sendto(s, b"x", 0, (ALICE, 7))
    assert (network.trace, network.transcript()) == (None, "")


def test_a_network_may_be_used_again() -> None:
    network = Network(conditions=Conditions(latency=1.0))
    network.host(ALICE)
    for _ in range(2):
        with started(catalog=network.catalog()):
            blocking(sockets.socket(AF_INET, SOCK_STREAM, 0))
        assert network.sockets == {}
        assert not network.hosts[0].sockets


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_has_no_sockets_of_its_parent() -> None:
    with Land() as land:
        client, server = land.connected()
        land.bob.spawn(lambda: refused(WSAEINTR, lambda: transfer.recv(server, 1)))
        child = os.fork()
        if child == 0:
            try:
                refused(WSAENOTSOCK, lambda: transfer.send(client, b"x"))
                assert land.alice.sockets == {}
                one, other = land.datagram(land.alice), land.datagram(land.bob, 7)
                transfer.sendto(one, b"anew", 0, (BOB, 7))
                assert transfer.recvfrom(other, 10)[0] == b"anew"
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        land.network.at(land.network.now + 1.0, sockets.closesocket, server)
        land.network.run()


def test_a_host_without_an_address_of_the_family_reaches_nobody_and_keeps_nothing() -> None:
    with Land() as land:
        old = land.network.host("10.0.0.3")
        with old:
            s = sockets.socket(AF_INET6, SOCK_STREAM, 0)
        refused(WSAEADDRNOTAVAIL, lambda: sockets.connect(s, ("fd00::1", 80)))
        assert all(not ports.exact and not ports.wild for ports in old.ports)
        sockets.bind(s, ("::1", 80))
