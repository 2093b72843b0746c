"""From the functions that a chain overrides to the system calls that the kernel reports: the table and its BPF program.

The kernel remembers for each call number whether the filter allows it without looking at an argument, and then runs no
filter at all for that call. So the program looks at the architecture and the number first, and loads an argument only
under the number of a call that is trapped by its arguments; everything else reaches ALLOW with nothing else loaded.
Arguments that are C ints are compared by their low words, since garbage above is legal.

A `Rule` says when one call is reported; `rules_for` is the table of supervised functions; `assemble` makes the program
and `run` interprets one, for tests and for `winsock explain`.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from winsock.abi.options import find_host
from winsock.host.numbers import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    IPPROTO_TCP,
    SOCK_STREAM,
    SOCK_TYPE_MASK,
    X32_BIT,
    Machine,
)

MSG_FASTOPEN = 0x20000000
SO_ERROR = 4


class Always(NamedTuple):
    """Report every call."""

    def __str__(self) -> str:
        return "every call"


class Flag(NamedTuple):
    """Report where an int argument has one of these bits."""

    argument: int
    bits: int
    meaning: str

    def __str__(self) -> str:
        return f"with {self.meaning}"


class Given(NamedTuple):
    """Report where a pointer argument is not null."""

    argument: int
    meaning: str

    def __str__(self) -> str:
        return f"with {self.meaning}"


class Pairs(NamedTuple):
    """Report where two int arguments are one of these pairs: (level, option)."""

    pairs: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return "of " + ", ".join(_option_name(level, option) for level, option in self.pairs)


def _option_name(level: int, option: int) -> str:
    row = find_host(level, option)
    return f"({level}, {option})" if row is None else row.name


class SocketKinds(NamedTuple):
    """Report the creation of inet sockets other than plain TCP, and of families not understood; `tcp`: of TCP too."""

    tcp: bool

    def __str__(self) -> str:
        return "of every inet kind" if self.tcp else "of inet datagram, raw and unusual kinds, and of unknown families"


When = Always | Flag | Given | Pairs | SocketKinds


class Rule(NamedTuple):
    """One system call and when it is reported."""

    call: str
    when: When


_ALWAYS_WATCHED = (Rule("io_uring_setup", Always()),)
_FASTOPEN = "MSG_FASTOPEN"

CARRIED: dict[str, tuple[Rule, ...]] = {
    "WSPConnect": (
        Rule("connect", Always()),
        Rule("sendto", Flag(3, MSG_FASTOPEN, _FASTOPEN)),
        Rule("sendmsg", Flag(2, MSG_FASTOPEN, _FASTOPEN)),
        Rule("sendmmsg", Flag(3, MSG_FASTOPEN, _FASTOPEN)),
    ),
    "WSPBind": (Rule("bind", Always()),),
    "WSPListen": (Rule("listen", Always()),),
    "WSPAccept": (Rule("accept", Always()), Rule("accept4", Always())),
    "WSPShutdown": (Rule("shutdown", Always()),),
    "WSPGetPeerName": (Rule("getpeername", Always()),),
    "WSPGetSockName": (Rule("getsockname", Always()),),
}
"""The functions that `winsock run` carries through a chain, but for the creation of sockets and their options."""

BY_ARGUMENT = ("WSPSocket", "WSPGetSockOpt", "WSPSetSockOpt")


def rules_for(
    overridden: Collection[str],
    get_options: Sequence[tuple[int, int]] = (),
    set_options: Sequence[tuple[int, int]] = (),
    counts: bool = False,
) -> list[Rule]:
    """The calls to report for these SPI functions; options as the host's (level, option).

    `counts`: a layer wants the bytes of a closed socket, which are exact only for one who saw it shut down.
    """
    rules = [Rule("socket", SocketKinds("WSPSocket" in overridden)), *_ALWAYS_WATCHED]
    for function, calls in CARRIED.items():
        if function in overridden:
            rules.extend(calls)
    if counts and "WSPShutdown" not in overridden:
        rules.extend(CARRIED["WSPShutdown"])
    if get_options:
        rules.append(Rule("getsockopt", Pairs(tuple(get_options))))
    if set_options:
        rules.append(Rule("setsockopt", Pairs(tuple(set_options))))
    return rules


# --- the program ---------------------------------------------------------------------------------------------------

LOAD, AND, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, NOTIFY, ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16


class Instruction(NamedTuple):
    """One classic BPF instruction: struct sock_filter."""

    code: int
    k: int
    jump_true: int = 0
    jump_false: int = 0

    def pack(self) -> bytes:
        return struct.pack("HBBI", self.code, self.jump_true, self.jump_false, self.k & 0xFFFFFFFF)


_MOST_PAIRS = 50
"""A jump reaches 255 instructions; beyond that every call is reported, and those not named are passed on."""
_NOTIFY, _ALLOW = Instruction(RETURN, NOTIFY), Instruction(RETURN, ALLOW)


def _low(argument: int) -> Instruction:
    return Instruction(LOAD, ARGUMENTS_AT + 8 * argument)


def _high(argument: int) -> Instruction:
    return Instruction(LOAD, ARGUMENTS_AT + 8 * argument + 4)


def _pairs(pairs: tuple[tuple[int, int], ...]) -> list[Instruction]:
    body: list[Instruction] = []
    for level, option in pairs:
        body += [
            _low(1),
            Instruction(JUMP_EQUAL, level, 0, 3),
            _low(2),
            Instruction(JUMP_EQUAL, option, 0, 1),
            _NOTIFY,
        ]
    return [*body, _ALLOW]


def _socket_kinds(tcp: bool) -> list[Instruction]:
    """socket(family, type, protocol): unix and netlink pass; inet streams of TCP pass unless they are wanted."""
    if tcp:
        return [
            _low(0),
            Instruction(JUMP_EQUAL, AF_UNIX, 2, 0),
            Instruction(JUMP_EQUAL, AF_NETLINK, 1, 0),
            _NOTIFY,
            _ALLOW,
        ]
    return [
        _low(0),
        Instruction(JUMP_EQUAL, AF_UNIX, 10, 0),
        Instruction(JUMP_EQUAL, AF_NETLINK, 9, 0),
        Instruction(JUMP_EQUAL, AF_INET, 1, 0),
        Instruction(JUMP_EQUAL, AF_INET6, 0, 6),
        _low(1),
        Instruction(AND, SOCK_TYPE_MASK),
        Instruction(JUMP_EQUAL, SOCK_STREAM, 0, 3),
        _low(2),
        Instruction(JUMP_EQUAL, 0, 2, 0),
        Instruction(JUMP_EQUAL, IPPROTO_TCP, 1, 0),
        _NOTIFY,
        _ALLOW,
    ]


def _body(when: When) -> list[Instruction]:
    match when:
        case Always():
            return [_NOTIFY]
        case Flag(argument, bits):
            return [_low(argument), Instruction(JUMP_SET, bits, 0, 1), _NOTIFY, _ALLOW]
        case Given(argument):
            either = Instruction(JUMP_EQUAL, 0, 0, 2)
            return [_low(argument), either, _high(argument), Instruction(JUMP_EQUAL, 0, 1, 0), _NOTIFY, _ALLOW]
        case Pairs(pairs):
            return _pairs(pairs) if len(pairs) <= _MOST_PAIRS else [_NOTIFY]
        case SocketKinds(tcp):
            return _socket_kinds(tcp)


def _by_number(rules: Iterable[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """For each number a jump over its body; the accumulator holds the number until a body loads something else."""
    program: list[Instruction] = []
    for number, body in rules:
        program += [Instruction(JUMP_EQUAL, number, 0, len(body)), *body]
    return program


def assemble(rules: Sequence[Rule], machine: Machine) -> list[Instruction]:
    """The program for these rules: own architecture, 32-bit socket calls, everything else.

    Calls examined by argument come first: they are made for data and pay for every instruction before them.
    """
    ordered = sorted(rules, key=lambda rule: isinstance(rule.when, Always))
    own = _by_number((machine.calls[rule.call], _body(rule.when)) for rule in ordered)
    foreign = _by_number((number, [_NOTIFY]) for number in sorted(set(machine.foreign_calls.values())))
    refuse = Instruction(RETURN, ERRNO | errno.ENOSYS)
    return [
        Instruction(LOAD, ARCH_AT),
        Instruction(JUMP_EQUAL, machine.arch, 4 + len(foreign), 0),
        Instruction(JUMP_EQUAL, machine.foreign_arch, 1, 0),
        refuse,
        Instruction(LOAD, NUMBER_AT),
        *foreign,
        _ALLOW,
        Instruction(LOAD, NUMBER_AT),
        Instruction(JUMP_GREATER_EQUAL, X32_BIT, 0, 1),
        refuse,
        *own,
        _ALLOW,
    ]


def pack(program: Sequence[Instruction]) -> bytes:
    """The program as an array of struct sock_filter."""
    return b"".join(instruction.pack() for instruction in program)


class Verdict(NamedTuple):
    """What a program answers for one call, and which argument words it loaded on the way."""

    action: int
    loaded: tuple[int, ...]


def run(program: Sequence[Instruction], number: int, arch: int, arguments: Sequence[int] = (0,) * 6) -> Verdict:
    """Interpret a program for one call, as the kernel would."""
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *arguments)
    accumulator, at, loaded = 0, 0, []
    while True:
        code, k, jump_true, jump_false = program[at]
        at += 1
        if code == LOAD:
            accumulator = int(struct.unpack_from("=I", data, k)[0])
            if k >= ARGUMENTS_AT:
                loaded.append((k - ARGUMENTS_AT) // 8)
        elif code == AND:
            accumulator &= k
        elif code == RETURN:
            return Verdict(k, tuple(loaded))
        else:
            at += jump_true if _jumps(code, accumulator, k) else jump_false


def _jumps(code: int, accumulator: int, k: int) -> bool:
    if code == JUMP_EQUAL:
        return accumulator == k
    if code == JUMP_GREATER_EQUAL:
        return accumulator >= k
    return bool(accumulator & k)
