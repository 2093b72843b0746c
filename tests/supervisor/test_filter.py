"""The filter program, interpreted for every call number and architecture."""

from __future__ import annotations

import pytest

from winsock.host.numbers import AARCH64, X32_BIT, X86_64, Machine
from winsock.layers.trace import Trace
from winsock.spi.layer import overridden
from winsock.supervisor import filter
from winsock.supervisor.filter import ALLOW, ERRNO, NOTIFY, Rule, assemble, rules_for, run
from winsock.supervisor.plan import RELAYING

MACHINES = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
TRACE = overridden(Trace)
MOST_NUMBERS = 1024
ENOSYS = 38


def trace_rules() -> list[Rule]:
    return rules_for(TRACE, get_options=[(1, 4)])


@MACHINES
@pytest.mark.parametrize(
    "functions",
    [TRACE, RELAYING, frozenset({"WSPConnect"}), frozenset()],
    ids=["trace", "bytes", "connect", "none"],
)
def test_every_call_that_is_not_trapped_reaches_allow_without_loading_an_argument(
    machine: Machine, functions: frozenset[str]
) -> None:
    rules = rules_for(functions)
    program = assemble(rules, machine)
    trapped = {machine.calls[rule.call] for rule in rules}
    for number in set(range(MOST_NUMBERS)) - trapped:
        assert run(program, number, machine.arch) == (ALLOW, ()), number


@MACHINES
def test_the_data_calls_of_a_traced_program_run_no_filter(machine: Machine) -> None:
    program = assemble(trace_rules(), machine)
    data_calls = {"recvfrom", "recvmsg", "recvmmsg"}
    for name in data_calls:
        assert run(program, machine.calls[name], machine.arch) == (ALLOW, ())


@MACHINES
def test_a_send_is_looked_at_only_for_fast_open(machine: Machine) -> None:
    program = assemble(trace_rules(), machine)
    for name, at in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        plain, opening = [0] * 6, [0] * 6
        plain[at], opening[at] = 0x4040, filter.MSG_FASTOPEN | 0x4000
        assert run(program, machine.calls[name], machine.arch, plain) == (ALLOW, (at,))
        assert run(program, machine.calls[name], machine.arch, opening) == (NOTIFY, (at,))


@MACHINES
def test_only_the_calls_of_overridden_functions_are_reported(machine: Machine) -> None:
    names = {number: name for name, number in machine.calls.items()}
    program = assemble(rules_for({"WSPBind"}), machine)
    reported = {
        names[number] for number in names if run(program, number, machine.arch, (1 << 40,) * 6).action == NOTIFY
    }
    assert reported == {"bind", "io_uring_setup", "socket"}  # family 0 is one that is not understood


@MACHINES
def test_garbage_in_the_high_words_of_ints_changes_nothing(machine: Machine) -> None:
    program = assemble(rules_for(frozenset(), get_options=[(1, 4), (6, 13)]), machine)
    number = machine.calls["getsockopt"]
    high = 0x77 << 32
    assert run(program, number, machine.arch, (0, high | 1, high | 4, 0, 0, 0)).action == NOTIFY
    assert run(program, number, machine.arch, (0, high | 6, high | 13, 0, 0, 0)).action == NOTIFY
    assert run(program, number, machine.arch, (0, 1, 13, 0, 0, 0)).action == ALLOW
    assert run(program, number, machine.arch, (0, 6, 4, 0, 0, 0)).action == ALLOW


SOCKETS = [
    ((1, 1, 0), False, "unix"),
    ((16, 3, 0), False, "netlink"),
    ((2, 1, 0), False, "tcp"),
    ((2, 1 | 0o2004000, 6), False, "tcp with flags"),
    ((10, 1, 6), False, "tcp6"),
    ((2, 2, 0), True, "udp"),
    ((10, 2 | 0o2000000, 17), True, "udp6 with flags"),
    ((2, 3, 1), True, "raw"),
    ((2, 1, 262), True, "mptcp"),
    ((2, 1, 132), True, "sctp"),
    ((43, 1, 0), True, "smc"),
    ((40, 1, 0), True, "vsock"),
    ((17, 3, 0), True, "packet"),
]


@pytest.mark.parametrize(("arguments", "reported", "kind"), SOCKETS, ids=[row[2] for row in SOCKETS])
@MACHINES
def test_which_sockets_are_reported(
    machine: Machine, arguments: tuple[int, int, int], reported: bool, kind: str
) -> None:
    number = machine.calls["socket"]
    words = (*arguments, 0, 0, 0)
    assert run(assemble(rules_for(frozenset()), machine), number, machine.arch, words).action == (
        NOTIFY if reported else ALLOW
    )
    wants_all = run(assemble(rules_for({"WSPSocket"}), machine), number, machine.arch, words).action
    assert wants_all == (ALLOW if kind in ("unix", "netlink") else NOTIFY)


@MACHINES
def test_a_32_bit_program_is_reported_for_its_socket_calls_only(machine: Machine) -> None:
    program = assemble(trace_rules(), machine)
    refused = set(machine.foreign_calls.values())
    for number in range(MOST_NUMBERS):
        verdict = run(program, number, machine.foreign_arch)
        assert verdict == (NOTIFY if number in refused else ALLOW, ())


@MACHINES
def test_an_unknown_architecture_has_no_calls_at_all(machine: Machine) -> None:
    assert run(assemble(trace_rules(), machine), 0, 0x12345).action == ERRNO | ENOSYS


def test_x32_calls_have_no_kernel_behind_them() -> None:
    program = assemble(trace_rules(), X86_64)
    for number in range(MOST_NUMBERS):
        assert run(program, number | X32_BIT, X86_64.arch).action == ERRNO | ENOSYS


def test_more_options_than_a_jump_can_pass_are_all_reported() -> None:
    many = [(level, option) for level in range(8) for option in range(8)]
    program = assemble(rules_for(frozenset(), set_options=many), X86_64)
    assert run(program, X86_64.calls["setsockopt"], X86_64.arch, (0, 99, 99, 0, 0, 0)) == (NOTIFY, ())
    filter.pack(program)


def test_a_pointer_argument_counts_by_both_its_words() -> None:
    rules = [Rule("sendto", filter.Given(4, "an address"))]
    program = assemble(rules, X86_64)
    number = X86_64.calls["sendto"]
    assert run(program, number, X86_64.arch, (0, 0, 0, 0, 0, 0)).action == ALLOW
    assert run(program, number, X86_64.arch, (0, 0, 0, 0, 1, 0)).action == NOTIFY
    assert run(program, number, X86_64.arch, (0, 0, 0, 0, 1 << 32, 0)).action == NOTIFY


def test_the_packed_program_is_eight_bytes_an_instruction() -> None:
    program = assemble(trace_rules(), X86_64)
    assert len(filter.pack(program)) == 8 * len(program)
