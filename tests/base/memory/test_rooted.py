"""Multipoint sessions with a root, by the rules of the documentation."""

from __future__ import annotations

import pytest

from tests.base.memory.land import ALICE, AS_LEAF, AS_ROOT, BOB, Land, address, goes, nonblocking, refused, table
from winsock.abi.constants import (
    AF_INET,
    CF_ACCEPT,
    CF_REJECT,
    FD_ACCEPT,
    FD_CLOSE,
    FD_CONNECT,
    FD_CONNECT_BIT,
    FD_READ,
    FD_WRITE,
    FIONREAD,
    JL_BOTH,
    JL_RECEIVER_ONLY,
    JL_SENDER_ONLY,
    MSG_PEEK,
    SD_RECEIVE,
    SD_SEND,
    SO_RCVBUF,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_MULTIPOINT_D_LEAF,
    WSA_FLAG_OVERLAPPED,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAEALREADY,
    WSAECONNREFUSED,
    WSAEDISCON,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMSGSIZE,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
)
from winsock.abi.sockaddr import SockaddrIn
from winsock.api import events, multipoint, options, sockets, transfer, waiting
from winsock.base.memory import Host
from winsock.base.memory.protocols import ROOTED

ALL = FD_ACCEPT | FD_CLOSE | FD_CONNECT | FD_READ | FD_WRITE
PORT = 9


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01)


def join(s: int, name: SockaddrIn, flags: int = JL_BOTH, caller_data: bytes | None = None) -> int:
    return multipoint.WSAJoinLeaf(s, name, caller_data, None, None, None, flags)


def root_of(land: Land) -> int:
    """A root at alice's that listens."""
    root = land.member(land.alice, AS_ROOT, PORT)
    sockets.listen(root, 10)
    return root


def leaf_of(land: Land, root: int, host: Host, flags: int = JL_BOTH) -> tuple[int, int]:
    """A leaf that has joined at a root: (the leaf, the root's socket for it)."""
    leaf = nonblocking(land.member(host, AS_LEAF))
    assert join(leaf, address(land.alice, PORT), flags) == leaf  # MPT-008, MPT-009
    land.settle()
    branch, _ = sockets.accept(root)
    land.settle()
    return leaf, branch


def heard(land: Land, *members: int) -> list[list[bytes]]:
    """What has come to each, after a while."""
    land.settle()
    found: list[list[bytes]] = []
    for s in members:
        nonblocking(s)
        found.append([])
        while options.ioctlsocket(s, FIONREAD):
            found[-1].append(transfer.recv(s, 1000))
    return found


def recorded(s: int) -> dict[int, int]:
    """The network events of a socket since the last look, with their errors."""
    found = events.WSAEnumNetworkEvents(s)
    return {1 << bit: error for bit, error in enumerate(found.iErrorCode) if found.lNetworkEvents >> bit & 1}


def watched(s: int) -> int:
    events.WSAEventSelect(s, events.WSACreateEvent(), ALL)
    return s


# Making the sockets.


def test_the_flags_of_a_member(land: Land) -> None:  # MPT-001 to MPT-004
    with land:
        for flags in (AS_ROOT, AS_LEAF, AS_ROOT | WSA_FLAG_OVERLAPPED):
            land.member(land.alice, flags)
        mixed = WSA_FLAG_MULTIPOINT_C_ROOT | WSA_FLAG_MULTIPOINT_D_LEAF
        for flags in (WSA_FLAG_MULTIPOINT_C_ROOT, AS_ROOT | AS_LEAF, mixed):
            refused(WSAEINVAL, lambda flags=flags: land.member(land.alice, flags))  # type: ignore[misc]
        assert land.alice.reserved_bytes == 3 * 2 * 65536


# Leaves that join.


def test_a_leaf_joins_at_the_root(land: Land) -> None:  # MPT-015, MPT-027
    with land:
        root = watched(root_of(land))
        leaf = watched(land.member(land.bob, AS_LEAF))
        join(leaf, address(land.alice, PORT))
        land.settle()
        assert recorded(root) == {FD_ACCEPT: 0}
        assert recorded(leaf) == {}
        branch, peer = sockets.accept(root)
        land.settle()
        assert recorded(leaf) == {FD_CONNECT: 0, FD_WRITE: 0}
        assert peer == sockets.getsockname(leaf)
        assert sockets.getpeername(leaf) == sockets.getsockname(branch) == address(land.alice, PORT)


def test_a_join_may_wait_for_its_outcome(land: Land) -> None:  # MPT-005
    with land:
        root = root_of(land)
        outcomes = []

        def joining() -> None:
            leaf = land.member(land.bob, AS_LEAF)
            outcomes.append(join(leaf, address(land.alice, PORT)) == leaf)
            refused(WSAECONNREFUSED, lambda: join(land.member(land.bob, AS_LEAF), address(land.alice, PORT)))

        def accepting() -> None:
            sockets.accept(root)
            refused(WSAECONNREFUSED, lambda: sockets.WSAAccept(root, lambda *_: CF_REJECT))

        land.bob.spawn(joining)
        land.alice.spawn(accepting)
        land.network.run()
        assert outcomes == [True]


def test_joins_carry_words(land: Land) -> None:
    with land:
        root = root_of(land)

        def condition(
            caller: object, data: bytes, sqos: object, gqos: object, callee: object, room: bytearray, *_: object
        ) -> int:
            room += b"welcome, " + data
            return CF_ACCEPT

        def joining() -> None:
            leaf, answer = land.member(land.bob, AS_LEAF), bytearray(12)
            table(leaf).WSPJoinLeaf(leaf, address(land.alice, PORT), b"bob", answer, None, None, JL_BOTH)
            assert answer == b"welcome, bob"

        land.bob.spawn(joining)
        land.alice.spawn(lambda: sockets.WSAAccept(root, condition))
        land.network.run()


def test_a_join_is_made_once(land: Land) -> None:  # MPT-010, MPT-012
    with land:
        root = root_of(land)
        leaf = nonblocking(land.member(land.bob, AS_LEAF))
        join(leaf, address(land.alice, PORT))
        refused(WSAEALREADY, lambda: join(leaf, address(land.alice, PORT)))
        refused(WSAENOTCONN, lambda: transfer.send(leaf, b"x"))
        land.settle()
        sockets.accept(root)
        land.settle()
        refused(WSAEISCONN, lambda: join(leaf, address(land.alice, PORT)))


def test_a_join_that_is_closed_is_cancelled(land: Land) -> None:  # MPT-010
    with land:
        root = root_of(land)
        leaf = nonblocking(land.member(land.bob, AS_LEAF))
        join(leaf, address(land.alice, PORT))
        land.settle()
        sockets.closesocket(leaf)
        land.settle()
        refused(WSAEACCES, lambda: sockets.accept(root))


def test_select_does_not_tell_of_a_join(land: Land) -> None:  # MPT-011
    with land:
        leaf = watched(land.member(land.bob, AS_LEAF))
        join(leaf, address(land.alice, PORT))
        land.settle()
        assert waiting.select(0, [leaf], [leaf], [leaf], 0) == ([], [], [])
        assert recorded(leaf) == {FD_CONNECT: WSAECONNREFUSED}


def test_an_invitation_that_is_closed_is_cancelled(land: Land) -> None:  # MPT-010, MPT-013
    with land:
        root = nonblocking(land.member(land.alice, AS_ROOT, PORT))
        invited = nonblocking(land.listener(land.bob, PORT, make=lambda host: land.member(host, AS_LEAF)))
        sockets.closesocket(join(root, address(land.bob, PORT)))
        second = join(root, address(land.bob, PORT))
        land.settle()
        refused(WSAEACCES, lambda: sockets.accept(invited))
        member, _ = sockets.accept(invited)
        land.settle()
        transfer.send(root, b"one leaf")
        assert heard(land, member) == [[b"one leaf"]]
        sockets.closesocket(second)


def test_a_root_that_is_closed_cancels_its_invitation(land: Land) -> None:  # MPT-031
    with land:
        invited = land.listener(land.bob, PORT, make=lambda host: land.member(host, AS_LEAF))
        root = nonblocking(land.member(land.alice, AS_ROOT, PORT))
        branch = watched(join(root, address(land.bob, PORT)))
        sockets.closesocket(root)
        assert recorded(branch) == {FD_CLOSE: 0}
        land.settle()
        refused(WSAEACCES, lambda: sockets.accept(invited))


def test_nothing_is_received_after_a_shutdown(land: Land) -> None:  # IO-007
    with land:
        root = root_of(land)
        leaf, _ = leaf_of(land, root, land.bob)
        transfer.send(root, b"to the leaf")
        transfer.send(leaf, b"to the root")
        land.settle()
        for s in (leaf, root):
            sockets.shutdown(s, SD_RECEIVE)
            refused(WSAESHUTDOWN, lambda s=s: transfer.recv(s, 100))  # type: ignore[misc]


# Leaves that are invited.


def test_a_root_invites_a_leaf(land: Land) -> None:  # MPT-007, MPT-009, MPT-026
    with land:
        root = watched(land.member(land.alice, AS_ROOT, PORT))
        waiting_leaf = watched(land.member(land.bob, AS_LEAF, PORT))
        sockets.listen(waiting_leaf, 1)
        branch = join(root, address(land.bob, PORT))
        assert branch not in (root, waiting_leaf)
        refused(WSAEALREADY, lambda: join(root, address(land.bob, PORT)))  # MPT-013
        land.settle()
        assert recorded(waiting_leaf) == {FD_ACCEPT: 0}
        leaf, peer = sockets.accept(waiting_leaf)
        land.settle()
        assert recorded(root) == {FD_CONNECT: 0, FD_WRITE: 0}
        assert peer == sockets.getpeername(leaf) == sockets.getsockname(branch)
        transfer.send(root, b"hello")
        transfer.send(leaf, b"here I am")
        assert heard(land, leaf, root) == [[b"hello"], [b"here I am"]]


def test_many_leaves_are_invited_one_after_the_other(land: Land) -> None:  # MPT-012, MPT-013, MPT-016
    with land:
        root = watched(root_of(land))
        listener = land.member(land.bob, AS_LEAF, PORT)
        sockets.listen(listener, 5)
        leaves = []
        for _ in range(3):
            join(root, address(land.bob, PORT))
            land.settle()
            leaves.append(sockets.accept(listener)[0])
            land.settle()
            assert FD_CONNECT in recorded(root)
        leaves.append(leaf_of(land, root, land.bob)[0])
        transfer.send(root, b"to all")
        assert heard(land, *leaves) == [[b"to all"]] * 4


def test_an_invitation_may_fail(land: Land) -> None:
    with land:
        root = watched(land.member(land.alice, AS_ROOT, PORT))
        branch = join(root, address(land.bob, PORT))
        land.settle()
        assert recorded(root) == {FD_CONNECT: WSAECONNREFUSED}
        sockets.closesocket(branch)
        before = land.alice.sockets.copy()
        refused(WSAECONNREFUSED, lambda: join(_blocking_root(land), address(land.bob, PORT)))
        assert len(land.alice.sockets) == len(before) + 1
        land.bob.crash()
        refused(WSAETIMEDOUT, lambda: join(_blocking_root(land), address(land.bob, PORT)))


def _blocking_root(land: Land) -> int:
    return land.member(land.alice, AS_ROOT, 0)


def test_joins_and_connects_do_not_meet(land: Land) -> None:  # MPT-033
    with land:
        root = root_of(land)
        plain = land.member(land.bob, 0)
        refused(WSAECONNREFUSED, lambda: sockets.connect(plain, (ALICE, PORT)))
        refused(WSAEINVAL, lambda: join(plain, address(land.alice, PORT)))  # MPT-006
        refused(WSAEINVAL, lambda: sockets.connect(land.member(land.bob, AS_LEAF), (ALICE, PORT)))
        listening_leaf = land.member(land.bob, AS_LEAF, PORT)
        sockets.listen(listening_leaf, 1)
        other_leaf = land.member(land.alice, AS_LEAF)
        refused(WSAECONNREFUSED, lambda: join(other_leaf, address(land.bob, PORT)))
        refused(WSAECONNREFUSED, lambda: join(root, SockaddrIn(BOB, PORT + 1)))
        for name in (SockaddrIn("0.0.0.0", PORT), SockaddrIn(BOB, 0)):
            refused(WSAEADDRNOTAVAIL, lambda name=name: join(root, name))  # type: ignore[misc]
        refused(WSAEINVAL, lambda: join(root, address(land.bob, PORT), 0))  # MPT-040


def test_plain_sockets_connect_as_any(land: Land) -> None:
    with land:
        with land.bob:
            listener = sockets.WSASocket(AF_INET, SOCK_SEQPACKET, ROOTED)
        sockets.bind(listener, (BOB, PORT))
        sockets.listen(listener, 1)
        land.bob.spawn(lambda: transfer.send(sockets.accept(listener)[0], b"plain"))
        client = land.member(land.alice, 0)
        sockets.connect(client, (BOB, PORT))
        assert transfer.recv(client, 100) == b"plain"
        land.network.run()


# Data.


def test_the_root_reaches_all_and_hears_each(land: Land) -> None:  # MPT-019, MPT-020, MPT-030, MPT-034
    with land:
        root = root_of(land)
        leaves = [leaf_of(land, root, host)[0] for host in (land.bob, land.bob, land.alice)]
        transfer.send(root, b"from the root")
        assert heard(land, *leaves) == [[b"from the root"]] * 3
        transfer.send(leaves[0], b"from a leaf")
        assert heard(land, *leaves) == [[]] * 3
        assert transfer.recvfrom(root, 100) == (b"from a leaf", sockets.getsockname(leaves[0]))


def test_the_entry_of_a_leaf_says_whom_it_reaches_and_not_its_flags(land: Land) -> None:  # MPT-035
    with land:
        root = root_of(land)
        rooted = [leaf_of(land, root, host)[0] for host in (land.alice, land.bob)]
        flat = []
        for host in (land.alice, land.bob):
            with host:
                flat.append(sockets.WSASocket(AF_INET, SOCK_DGRAM, 0, None, 0, AS_LEAF))
            sockets.bind(flat[-1], ("0.0.0.0", PORT))
            join(flat[-1], SockaddrIn("239.0.0.1", PORT))
        for leaves in (rooted, flat):
            transfer.send(leaves[0], b"from a leaf")
        assert heard(land, *rooted, root) == [[], [], [b"from a leaf"]]
        assert heard(land, *flat) == [[b"from a leaf"]] * 2


def test_events_of_data(land: Land) -> None:
    with land:
        root = watched(root_of(land))
        leaf, branch = leaf_of(land, root, land.bob)
        for s in (leaf, branch):
            watched(s)
            recorded(s)
        recorded(root)
        transfer.send(leaf, b"up")
        land.settle()
        assert (recorded(root), recorded(branch)) == ({FD_READ: 0}, {})  # MPT-017
        transfer.send(root, b"down")
        land.settle()
        assert recorded(leaf) == {FD_READ: 0}
        assert waiting.select(0, [root, leaf, branch], None, None, 0) == ([root, leaf], [], [])


def test_the_roots_socket_for_a_leaf_carries_no_data(land: Land) -> None:  # MPT-017
    with land:
        root = root_of(land)
        _, branch = leaf_of(land, root, land.bob)
        refused(WSAEOPNOTSUPP, lambda: transfer.send(branch, b"x"))
        refused(WSAEOPNOTSUPP, lambda: transfer.recv(branch, 1))
        assert waiting.select(0, None, [root, branch], None, 0) == ([], [root], [])


def test_data_may_flow_in_one_direction(land: Land) -> None:  # MPT-040
    with land:
        root = root_of(land)
        talker, _ = leaf_of(land, root, land.bob, JL_SENDER_ONLY)
        listener, _ = leaf_of(land, root, land.bob, JL_RECEIVER_ONLY)
        transfer.send(root, b"down")
        transfer.send(talker, b"up")
        refused(WSAEACCES, lambda: transfer.send(listener, b"up"))
        assert heard(land, talker, listener, root) == [[], [b"down"], [b"up"]]


def test_the_slowest_leaf_stops_the_root(land: Land) -> None:
    with land:
        root = root_of(land)
        slow, _ = leaf_of(land, root, land.bob)
        quick, _ = leaf_of(land, root, land.bob)
        options.setsockopt(slow, SOL_SOCKET, SO_RCVBUF, 1000)
        nonblocking(root)
        sent = 0
        while waiting.select(0, None, [root], None, 5)[1]:
            sent += goes(lambda: transfer.send(root, bytes(500)))
            heard(land, quick)
        assert sent > 100
        received = 0
        while received < sent:
            received += len(heard(land, slow)[0])
        assert transfer.send(root, b"again") == 5


def test_limits(land: Land) -> None:
    with land:
        root = root_of(land)
        refused(WSAENOTCONN, lambda: transfer.send(root, b"x"))
        leaf, _ = leaf_of(land, root, land.bob)
        refused(WSAEMSGSIZE, lambda: transfer.send(root, bytes(70_000)))
        transfer.send(root, b"0123456789")
        land.settle()
        refused(WSAEMSGSIZE, lambda: transfer.recv(leaf, 4))
        assert transfer.recv(leaf, 10, MSG_PEEK) == transfer.recv(leaf, 10) == b"0123456789"
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(leaf, 1))
        refused(WSAEINVAL, lambda: transfer.recv(land.member(land.alice, AS_ROOT), 1))
        refused(WSAENOTCONN, lambda: transfer.recv(land.member(land.alice, AS_ROOT, 0), 1))


# The end.


def test_a_leaf_leaves(land: Land) -> None:  # MPT-014
    with land:
        root = root_of(land)
        leaf, branch = leaf_of(land, root, land.bob)
        watched(branch)
        recorded(branch)
        transfer.send(leaf, b"last words")
        sockets.closesocket(leaf)
        land.settle()
        assert recorded(branch) == {FD_CLOSE: 0}
        assert heard(land, root) == [[b"last words"]]
        refused(WSAENOTCONN, lambda: transfer.send(root, b"x"))
        sockets.closesocket(branch)


def test_a_leaf_is_sent_away(land: Land) -> None:  # MPT-014
    with land:
        root = root_of(land)
        leaf, branch = leaf_of(land, root, land.bob)
        watched(leaf)
        recorded(leaf)
        sockets.closesocket(branch)
        land.settle()
        assert recorded(leaf) == {FD_CLOSE: 0}
        refused(WSAEDISCON, lambda: transfer.recv(leaf, 1))
        refused(WSAENOTCONN, lambda: transfer.send(root, b"x"))


@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_the_session_ends_with_its_root(land: Land, how: str) -> None:  # MPT-018, MPT-031, MPT-032
    with land:
        root = root_of(land)
        members = [s for host in (land.bob, land.alice) for s in leaf_of(land, root, host)]
        for s in members:
            watched(s)
            recorded(s)
        transfer.send(root, b"farewell")
        if how == "close":
            sockets.closesocket(root)
        else:
            sockets.shutdown(root, SD_SEND)
            refused(WSAESHUTDOWN, lambda: transfer.send(root, b"x"))
        land.settle()
        for leaf, branch in (members[:2], members[2:]):
            assert recorded(branch) == {FD_CLOSE: 0}
            assert recorded(leaf) == {FD_READ: 0, FD_CLOSE: 0}
            assert transfer.recv(leaf, 100) == b"farewell"
            refused(WSAEDISCON, lambda leaf=leaf: transfer.recv(leaf, 1))  # type: ignore[misc]


def test_a_root_whose_host_crashes_leaves_its_leaves_in_the_dark(land: Land) -> None:
    with land:
        root = root_of(land)
        leaf, _ = leaf_of(land, root, land.bob)
        land.alice.crash()
        transfer.send(leaf, b"anybody?")
        options.ioctlsocket(leaf, FIONREAD)
        land.settle(100.0)
        refused(WSAETIMEDOUT, lambda: transfer.recv(leaf, 1))
        sockets.closesocket(root)


@pytest.mark.parametrize("seed", range(3))
def test_everybody_hears_everything_over_any_link(seed: int) -> None:
    with Land(seed, latency=0.01, jitter=0.02, loss=0.1, duplicate=0.1, reorder=0.1) as land:
        root = root_of(land)
        leaves = [leaf_of(land, root, host)[0] for host in (land.bob, land.bob, land.alice)]
        messages = [b"%d" % n for n in range(50)]
        for message in messages:
            transfer.send(root, message)
            for leaf in leaves:
                transfer.send(leaf, message)
        land.settle(200.0)
        assert heard(land, *leaves) == [messages] * 3
        up: dict[object, list[bytes]] = {}
        for _ in range(150):
            data, source = transfer.recvfrom(root, 100)
            up.setdefault(source, []).append(data)
        assert list(up.values()) == [messages] * 3


def test_the_error_of_a_join_has_its_own_place() -> None:
    assert FD_CONNECT == 1 << FD_CONNECT_BIT
