"""The functions behind the rows: a supervised puppet gets, call for call, what a bare one gets from the kernel.

The supervisor serves in this process. Its chain is a layer that overrides every function and changes nothing, so
whatever differs was lost on the way from the system call to the SPI call and back.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.e2e.layers_everything import Everything
from tests.host.conftest import nothing_leaks
from tests.puppet import PATIENCE_S, Puppet, puppet
from tests.waiting import wait_until
from winsock.abi.constants import WINSOCK_VERSION
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.base.inet.addresses import pack
from winsock.catalog.entries import LayerSpec
from winsock.core.journal import journal
from winsock.dispatcher import process
from winsock.host import numbers
from winsock.spi.provider import FUNCTIONS
from winsock.supervisor import filter
from winsock.supervisor.callers import Caller, Process
from winsock.supervisor.calls import ROWS
from winsock.supervisor.calls.call import Call, Row, decode_address
from winsock.supervisor.calls.connecting import is_loopback
from winsock.supervisor.crew import WAKE_SIGNAL
from winsock.supervisor.plan import make
from winsock.supervisor.report import Report
from winsock.supervisor.serving import Supervisor

AF_INET, AF_INET6 = socket.AF_INET, socket.AF_INET6
LAYER = LayerSpec("everything", f"{Everything.__module__}:{Everything.__qualname__}")

WORDS = """
import errno, fcntl, select
BAD = 1 << 63 >> 1
EAGER = 0x20000000

def at(data, room=0):
    kept = ctypes.create_string_buffer(bytes(data), max(len(data), room, 1))
    keep.append(kept)
    return ctypes.addressof(kept)

def read(address, length):
    return ctypes.string_at(address, length)

def ipv4(port, host="127.0.0.1", family=2):
    return struct.pack("=HH4s8x", family, socket.htons(port), socket.inet_aton(host))

def ipv6(port, host="::1", family=10):
    return struct.pack("=HHI16sI", family, socket.htons(port), 0, socket.inet_pton(10, host), 0)

def new(family=2, kind=1, protocol=0):
    return call("socket", family, kind, protocol)

def connect(s, name, length=None):
    return call("connect", s, at(name), len(name) if length is None else length)

def bind(s, name, length=None):
    return call("bind", s, at(name), len(name) if length is None else length)

def connected(*kind):
    s = new(*kind)
    assert connect(s, ipv4(PORT)) == 0
    return s

def listening(family=2, blocking=False):
    s = new(family, 1 if blocking else 1 | 0o4000)
    assert call("listen", s, 8) == 0
    return s, socket.socket(fileno=os.dup(s)).getsockname()[1]

def queued():
    s, port = listening()
    client = socket.create_connection(("127.0.0.1", port))
    keep.append(client)
    return s, client

def name_of(which, s, room, given=None):
    name, length = at(b"\\xee" * 40), at(struct.pack("=i", room if given is None else given))
    result = call(which, s, name, length)
    left = read(name, 40)
    port = slice(2, 4)
    return result, struct.unpack("=i", read(length, 4))[0], left[:2], left[4:]

def option(s, level, name, room=4, value=None):
    value, length = at(b"\\xee" * 64), at(struct.pack("=i", room))
    result = call("getsockopt", s, level, name, value, length)
    return result, struct.unpack("=i", read(length, 4))[0], read(value, 64)

def set_option(s, level, name, data):
    return call("setsockopt", s, level, name, at(data), len(data)), option(s, level, name, 16)

def describe(s):
    return s if s < 0 else (os.get_inheritable(s), os.get_blocking(s), [option(s, 1, name) for name in (3, 38, 39)])

def message(s, name, name_length, pieces, flags, control=0):
    vectors = b"".join(struct.pack("=QQ", at(piece), len(piece)) for piece in pieces)
    rest = at(vectors), len(pieces), at(bytes(control)), control, 0
    header = struct.pack("=QixxxxQQQQixxxx", name, name_length, *rest)
    return call("sendmsg", s, at(header), flags)

def nonblocking_outcome(port):
    s = new(2, 1 | 0o4000)
    begun = connect(s, ipv4(port))
    select.select([], [s], [])
    return begun, option(s, 1, 4)[::2], option(s, 1, 4)[::2]
"""

CASES = {
    # connect
    "connects": "connect(new(), ipv4(PORT))",
    "connects by ipv6": "connect(new(10), ipv6(PORT6))",
    "connects to a v4-mapped address": "connect(new(10), ipv6(PORT, '::ffff:127.0.0.1'))",
    "is refused": "connect(new(), ipv4(DEAD))",
    "is connected already": "connect(connected(), ipv4(PORT))",
    "connects with more than an address": "connect(new(), ipv4(PORT) + bytes(100))",
    "connects with a short ipv6 address": "connect(new(10), ipv6(PORT6), 24)",
    "the outcome of success": "nonblocking_outcome(PORT)",
    "the outcome of failure": "nonblocking_outcome(DEAD)",
    "dissolves": "(s := connected(2, 2), connect(s, bytes(16)), name_of('getpeername', s, 16))[1:]",
    "dissolves with two bytes": "(s := connected(2, 2), connect(s, bytes(2)))[1:]",
    **{f"{length} bytes": f"connect(new(), ipv4(PORT), {length})" for length in (0, 1, 2, 15, 128, 129, -1)},
    "another family": "connect(new(), ipv6(PORT6))",
    "an unknown family": "connect(new(), ipv4(PORT, family=77))",
    "ipv4 on ipv6": "connect(new(10), ipv4(PORT))",
    "ipv4 on ipv6 for datagrams": "connect(new(10, 2), ipv4(PORT))",
    "a bad pointer": "call('connect', new(), BAD, 16)",
    "a null pointer": "call('connect', new(), 0, 16)",
    "a bad descriptor": "call('connect', 999, at(ipv4(PORT)), 16)",
    "minus one": "call('connect', -1, at(ipv4(PORT)), 16)",
    "no socket": "call('connect', os.pipe()[0], at(ipv4(PORT)), 16)",
    "no socket and a bad pointer": "call('connect', os.pipe()[0], BAD, 16)",
    "no socket and a bad length": "call('connect', os.pipe()[0], BAD, 300)",
    "garbage above an int": "call('connect', new() | 0x7700000000, at(ipv4(PORT)), 16 | 0x7700000000)",
    "a local socket": "call('connect', new(1), at(b'\\1\\0/no/such/socket'), 17)",
    # fast open
    "sends to an address at once": "call('sendto', new(), at(b'hello'), 5, EAGER, at(ipv4(PORT)), 16)",
    "sends nothing to an address at once": "call('sendto', new(), 0, 0, EAGER, at(ipv4(PORT)), 16)",
    "sends to nobody at once": "call('sendto', new(), at(b'hello'), 5, EAGER | 0x4000, at(ipv4(DEAD)), 16)",
    "sends a datagram with the flag": "call('sendto', new(2, 2), at(b'hello'), 5, EAGER, at(ipv4(DEAD)), 16)",
    "sends without an address": "call('sendto', connected(), at(b'hello'), 5, EAGER, 0, 0)",
    "sends to a bad address": "call('sendto', new(), at(b'hello'), 5, EAGER, BAD, 16)",
    "a message at once": "message(new(), at(ipv4(PORT)), 16, [b'hel', b'', b'lo'], EAGER)",
    "a long message at once": "message(new(), at(ipv4(PORT)), 16, [bytes(5000), bytes(5000)], EAGER)",
    "a message without an address": "message(connected(), 0, 0, [b'hello'], EAGER)",
    "a message to an overlong address": "message(new(), at(ipv4(PORT) + bytes(300)), 300, [b'hello'], EAGER)",
    "a message to a negative address": "message(new(), at(ipv4(PORT)), -1, [b'hello'], EAGER)",
    "a bad message": "call('sendmsg', new(), BAD, EAGER)",
    # bind and listen
    "binds": "(s := new(), bind(s, ipv4(0)), bind(s, ipv4(0)))[1:]",
    "binds by ipv6": "bind(new(10), ipv6(0))",
    "binds a port in use": "bind(new(), ipv4(PORT))",
    "binds an address of others": "bind(new(), ipv4(0, '192.0.2.1'))",
    "binds without a family": "bind(new(), ipv4(0, '0.0.0.0', 0))",
    "binds another family": "bind(new(), ipv6(0))",
    **{f"binds {length} bytes": f"bind(new(), ipv4(0), {length})" for length in (0, 2, 15, 129, -1)},
    "binds a bad pointer": "call('bind', new(), BAD, 16)",
    "binds no socket": "call('bind', os.pipe()[0], BAD, 16)",
    "listens": "call('listen', new(), 5)",
    "listens with a strange backlog": "call('listen', new(), -1)",
    "listens for datagrams": "call('listen', new(2, 2), 5)",
    "listens while connected": "call('listen', connected(), 5)",
    # accept
    "nothing to accept": "call('accept', listening()[0], 0, 0)",
    "accept without listen": "call('accept', new(), 0, 0)",
    "accept of datagrams": "call('accept', new(2, 2), 0, 0)",
    "accept of a connection": "call('accept', connected(), 0, 0)",
    "accepts": "(s := queued()[0], call('accept', s, 0, 0) > 2)[1:]",
    "accepts with a name": "(s := queued()[0], n := at(bytes(40)), l := at(struct.pack('=i', 16)),"
    " call('accept', s, n, l) > 2, read(n, 2), read(n + 4, 20), read(l, 4))[3:]",
    "accepts with a short name": "(s := queued()[0], n := at(b'\\xee' * 40), l := at(struct.pack('=i', 2)),"
    " call('accept', s, n, l) > 2, read(n, 20), read(l, 4))[3:]",
    "accepts with a bad name": "(s := queued()[0], call('accept', s, BAD, at(struct.pack('=i', 16))))[1:]",
    "accepts with a bad length": "(s := queued()[0], call('accept', s, at(bytes(16)), BAD))[1:]",
    "accepts with a negative length": "call('accept', queued()[0], at(bytes(16)), at(struct.pack('=i', -1)))",
    **{
        f"accepts with flags {flags:#o}": f"(s := queued()[0], a := call('accept4', s, 0, 0, {flags}),"
        " os.get_inheritable(a), os.get_blocking(a))[2:]"
        for flags in (0, 0o4000, 0o2000000, 0o2004000)
    },
    "flags that are none": "call('accept4', queued()[0], 0, 0, 1)",
    "flags that are none of no socket": "call('accept4', os.pipe()[0], 0, 0, 1)",
    "what is accepted is the connection": "(q := queued(), q[1].send(b'hello'),"
    " os.read(call('accept', q[0], 0, 0), 9))[2:]",
    # names
    **{f"the name in {room} bytes": f"name_of('getsockname', new(), {room})" for room in (0, 1, 4, 15, 16, 40, -1)},
    "the name of ipv6": "name_of('getsockname', new(10), 40)",
    "the peer": "name_of('getpeername', connected(), 40)",
    "the peer of nobody": "name_of('getpeername', new(), 40)",
    "the peer of a listener": "name_of('getpeername', listening()[0], 40)",
    "a name to a bad pointer": "call('getsockname', new(), BAD, at(struct.pack('=i', 16)))",
    "a name of a bad length": "call('getsockname', new(), at(bytes(16)), BAD)",
    "the name of a local socket": "name_of('getsockname', new(1), 40)[:2]",
    # shutdown
    "shuts down": "(s := connected(), [call('shutdown', s, how) for how in (1, 1, 0, 2)])[1:]",
    "shuts down what is not connected": "call('shutdown', new(), 2)",
    "shuts down strangely": "[call('shutdown', connected(), how) for how in (3, -1, 77)]",
    # options
    **{
        f"option {level},{name} in {room}": f"option(new(), {level}, {name}, {room})"
        for level, name in ((1, 3), (1, 4), (1, 7), (1, 9), (1, 13), (1, 20), (6, 1), (6, 2), (0, 1), (0, 2))
        for room in (0, 1, 2, 4, 8, 16, -1)
    },
    "an option of ipv6": "[option(new(10), 41, name, room) for name in (16, 26) for room in (-1, 0, 1, 4)]",
    "an option of ipv6 on ipv4": "[option(new(), 41, name, room) for name in (16, 26) for room in (-1, 0, 1, 4)]",
    "an unknown option": "option(new(), 1, 9999)",
    "an option to a bad pointer": "call('getsockopt', new(), 1, 3, BAD, at(struct.pack('=i', 4)))",
    "an option of a bad length": "call('getsockopt', new(), 1, 3, at(bytes(4)), BAD)",
    **{
        f"sets {level},{name} by {data!r}": f"set_option(new(), {level}, {name}, {data!r})"
        for level, name in ((1, 2), (1, 9), (6, 1), (0, 2), (1, 4), (41, 26))
        for data in (struct.pack("=i", 1), struct.pack("=i", 77), b"\1", bytes(4), bytes(16), b"")
    },
    "sets a linger": "set_option(new(), 1, 13, struct.pack('=ii', 1, 7))",
    "sets a time": "set_option(new(), 1, 20, struct.pack('=qq', 3, 4))",
    "sets from a bad pointer": "call('setsockopt', new(), 1, 2, BAD, 4)",
    "sets with a negative length": "call('setsockopt', new(), 1, 2, at(bytes(4)), -1)",
    "sets an unknown option": "call('setsockopt', new(), 1, 9999, at(bytes(4)), 4)",
    # socket
    **{
        f"a socket of {family},{kind:#o},{protocol}": f"describe(new({family}, {kind}, {protocol}))"
        for family, kind, protocol in (
            (2, 1, 0),
            (2, 1 | 0o4000, 6),
            (2, 1 | 0o2000000, 6),
            (2, 2, 17),
            (10, 1 | 0o2004000, 0),
            (10, 2, 0),
            (1, 1, 0),
            (16, 3, 0),
            (2, 0, 0),
            (2, 1, 17),
            (2, 2, 6),
            (2, 9, 0),
            (2, 1 | 0x100, 0),
            (2, -1, 0),
            (2, 1, -1),
            (2, 1, 9999),
            (77, 1, 0),
            (-1, 1, 0),
            (0, 1, 0),
        )
    },
    "a socket where no number is left": "(limit := resource.getrlimit(7), resource.setrlimit(7, (3, limit[1])), new(),"
    " resource.setrlimit(7, limit))[2]",
    "an accept where no number is left": "(s := queued()[0], limit := resource.getrlimit(7),"
    " resource.setrlimit(7, (3, limit[1])), call('accept', s, 0, 0), resource.setrlimit(7, limit),"
    " call('accept', s, 0, 0) > 2)[3::2]",
}  # fmt: skip


class Servers:
    """A port that answers nobody but takes everybody, for each family, and one where nobody is."""

    def __init__(self) -> None:
        self.taken = [socket.create_server((host, 0), family=family, backlog=200) for family, host in self.hosts()]
        self.dead = socket.socket()
        self.dead.bind(("127.0.0.1", 0))

    def hosts(self) -> list[tuple[socket.AddressFamily, str]]:
        return [(AF_INET, "127.0.0.1"), (AF_INET6, "::1")]

    def teach(self, one: Puppet) -> None:
        ports = [held.getsockname()[1] for held in (*self.taken, self.dead)]
        one.run(f"exec({WORDS!r})")
        one.run("PORT, PORT6, DEAD = " + ", ".join(map(str, ports)))

    def close(self) -> None:
        for held in (*self.taken, self.dead):
            held.close()


class World:
    """A supervisor in this process, over a puppet."""

    def __init__(self, supervisor: Supervisor, one: Puppet) -> None:
        self.supervisor = supervisor
        self.puppet = one

    def truth(self) -> dict[str, Any]:
        return self.supervisor.report.truth(0)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


@pytest.fixture(scope="module")
def bare(servers: Servers) -> Iterator[Puppet]:
    with puppet() as one:
        servers.teach(one)
        yield one


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    """What was written on the way."""
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "sink", written.append)
        yield written


@pytest.fixture(scope="module")
def world(servers: Servers, lines: list[str]) -> Iterator[World]:
    plan = make([LAYER])
    program = filter.pack(filter.assemble(plan.rules, numbers.machine()))
    before = signal.getsignal(WAKE_SIGNAL)
    process.startup(WINSOCK_VERSION, plan.catalog)
    with puppet(program=program) as one:
        supervisor = Supervisor(one.listener, plan, Report())
        supervisor.crew.start()
        servers.teach(one)
        yield World(supervisor, one)
        one.kill()
        assert supervisor.crew.finished.wait(PATIENCE_S)
        assert supervisor.crew.failure is None
    signal.signal(WAKE_SIGNAL, before or signal.SIG_DFL)
    process.cleanup()


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_the_kernels(case: str, bare: Puppet, world: World, lines: list[str]) -> None:
    expected = bare.run(CASES[case])
    assert world.puppet.run(CASES[case]) == expected
    assert lines == []


@pytest.mark.parametrize(
    ("source", "number", "reason"),
    [
        ("new(2, 1, 262)", errno.EPROTONOSUPPORT, "MPTCP socket"),
        ("new(43, 1, 0)", errno.EPROTONOSUPPORT, "SMC socket"),
        ("call('io_uring_setup', 1, 0)", errno.ENOSYS, "io_uring_setup"),
        ("call('sendmmsg', new(), 0, 1, EAGER)", errno.EOPNOTSUPP, "sendmmsg with MSG_FASTOPEN"),
    ],
)
def test_what_is_refused_so_that_programs_fall_back(world: World, source: str, number: int, reason: str) -> None:
    before = world.truth()["refused"].get(reason, 0)
    assert world.puppet.run(source) == -number
    assert world.truth()["refused"][reason] == before + 1


def test_a_message_with_control_data_is_refused_as_without_fast_open(world: World) -> None:
    source = "message(new(), at(ipv4(PORT)), 16, [b'hello'], EAGER, control=24)"
    assert world.puppet.run(source) == -errno.EOPNOTSUPP


def test_a_kind_that_no_chain_carries_is_passed_and_counted(world: World) -> None:
    before = world.truth()["passed"].get("raw", 0)
    result = world.puppet.run("new(2, 3, 1)")
    assert world.truth()["passed"].get("raw", 0) == before + (result > 0)


def test_waiting_accepts_get_one_connection_each(world: World) -> None:
    world.puppet.run("held = listening(blocking=True)")
    for name in ("one", "two", "three"):
        world.puppet.run(f"threads.start({name!r}, \"call('accept', held[0], 0, 0)\", stays=False)")
    world.puppet.run("clients = [socket.create_connection(('127.0.0.1', held[1])) for _ in range(3)]")
    taken = [world.puppet.run(f"threads.end({name!r})") for name in ("one", "two", "three")]
    assert len(set(taken)) == 3
    peers = world.puppet.run(f"sorted(socket.socket(fileno=os.dup(s)).getpeername()[1] for s in {taken})")
    assert peers == world.puppet.run("sorted(client.getsockname()[1] for client in clients)")


def test_an_accept_that_waits_is_restarted_by_a_signal(world: World) -> None:
    world.puppet.run("seen = []; signal.signal(10, lambda *_: seen.append(1)); signal.siginterrupt(10, False)")
    world.puppet.run("held = listening(blocking=True)")
    world.puppet.start("call('accept', held[0], 0, 0) > 2")
    address = port_of_waiting(world)
    os.kill(world.puppet.pid, signal.SIGUSR1)
    with socket.create_connection(address):
        assert world.puppet.result() is True
    world.puppet.run("None")  # Python runs its handlers between two lines
    assert world.puppet.run("seen") == [1]


def port_of_waiting(world: World) -> tuple[str, int]:
    """Where the accept that waits in the poll set is reached."""
    wait_until(lambda: world.supervisor.held._waiting, "an accept waits")
    (call,) = world.supervisor.held._waiting
    assert call.socket is not None
    caller = call.caller
    assert caller is not None
    pidfd = os.pidfd_open(world.puppet.pid)
    leased = world.supervisor.leases.take(Caller(caller.thread, caller.process, pidfd), call.arguments[0])
    os.close(pidfd)
    assert leased is call.socket
    with socket.socket(fileno=os.dup(leased.slot)) as listener:
        port = listener.getsockname()[1]
    world.supervisor.leases.give_back(leased)
    return "127.0.0.1", port


def test_nothing_is_kept_open_between_calls(world: World) -> None:
    world.puppet.run("s = connected()")
    with nothing_leaks():
        for _ in range(20):
            assert world.puppet.run("name_of('getpeername', s, 16)[0]") == 0


# --- the table -----------------------------------------------------------------------------------------------------


def test_every_call_that_can_be_trapped_has_its_row() -> None:
    wanted = {rule.call: function for function, rules in filter.CARRIED.items() for rule in rules}
    by_argument = {"socket": "WSPSocket", "getsockopt": "WSPGetSockOpt", "setsockopt": "WSPSetSockOpt"}
    assert {row.call: row.function for row in ROWS} == {**wanted, **by_argument, "io_uring_setup": ""}
    assert set(by_argument.values()) == set(filter.BY_ARGUMENT)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.call)
def test_a_row_is_about_a_socket_or_stands_alone(row: Row) -> None:
    assert (row.on_socket is None) != (row.alone is None)
    assert row.call in numbers.machine().calls
    assert row.function in (*FUNCTIONS, "")


# --- addresses and arguments ---------------------------------------------------------------------------------------

IPV4, IPV6 = SockaddrIn("127.0.0.1", 80), SockaddrIn6("2001:db8::1", 443, 7, 3)
UNSPECIFIED = bytes(16)


@pytest.mark.parametrize(
    ("data", "domain", "address"),
    [
        (pack(IPV4), AF_INET, IPV4),
        (pack(IPV4) + b"more", AF_INET, IPV4),
        (pack(IPV6), AF_INET6, IPV6),
        (pack(IPV6)[:24], AF_INET6, IPV6._replace(scope_id=0)),
        (UNSPECIFIED, AF_INET, SockaddrOther(0, bytes(14))),
        (b"\0\0", AF_INET6, SockaddrOther(0, b"")),
        (b"", AF_INET, None),
        (b"\2", AF_INET, None),
        (pack(IPV4)[:15], AF_INET, None),
        (pack(IPV6)[:23], AF_INET6, None),
        (pack(IPV4), AF_INET6, None),
        (pack(IPV6), AF_INET, None),
        ((77).to_bytes(2, sys.byteorder) + bytes(14), AF_INET, None),
    ],
)
def test_an_address_is_what_the_kernel_would_take(data: bytes, domain: int, address: Any) -> None:
    assert decode_address(data, domain) == address


def test_datagrams_of_ipv6_connect_to_ipv4_too() -> None:
    assert decode_address(pack(IPV4), AF_INET6, True) == IPV4
    assert decode_address(pack(IPV4)[:15], AF_INET6, True) is None


@pytest.mark.parametrize(
    ("address", "near"),
    [
        (SockaddrIn("127.0.0.1", 1), True),
        (SockaddrIn("127.255.0.3", 1), True),
        (SockaddrIn("12.7.0.1", 1), False),
        (SockaddrIn6("::1", 1), True),
        (SockaddrIn6("::ffff:127.0.0.1", 1), True),
        (SockaddrIn6("::ffff:192.0.2.1", 1), False),
        (SockaddrIn6("::1:1", 1), False),
        (SockaddrOther(0, b""), False),
    ],
)
def test_who_answers_while_the_call_is_made(address: Any, near: bool) -> None:
    assert is_loopback(address) is near


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0, 0),
        (5, 5),
        (0x7FFFFFFF, 2**31 - 1),
        (0x80000000, -(2**31)),
        (0xFFFFFFFF, -1),
        (0x77_FFFFFFFF, -1),
        (2**63, 0),
    ],
)
def test_an_int_is_its_low_word_with_a_sign(word: int, value: int) -> None:
    assert Call(1, ROWS[0], 2, (word,), 0.0).int_argument(0) == value


def test_a_call_describes_itself_for_layers() -> None:
    one = Process(os.getpid())
    call = Call(1, ROWS[0], 77, (), 0.0)
    call.caller = Caller(77, one, -1)
    known: Any = SimpleNamespace(cookie=900)
    call.socket = known
    assert call.describe() == (os.getpid(), 77, "WSPConnect", 900, one.name(0.0))
