"""Performing with a caller's rights: of puppets that became somebody else."""

from __future__ import annotations

import errno
import os
import socket
import threading

import pytest

from tests.puppet import Puppet, puppet
from winsock.supervisor import kernel, rights
from winsock.supervisor.rights import Credentials, Rights

NOBODY = 65534
CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 1 << 6, 1 << 7, 1 << 8
CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_SYS_PTRACE = 1 << 10, 1 << 12, 1 << 19
NEEDED = CAP_SETGID | CAP_SETUID | CAP_SETPCAP | CAP_NET_BIND_SERVICE | CAP_NET_ADMIN | CAP_SYS_PTRACE
SO_MARK = 36
CLONE_NEWUSER = 0x10000000

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or NEEDED & ~rights.of("thread-self").capabilities != 0,
    reason="only root, with its capabilities, can become somebody else and look at who did",
)


def become_nobody(process: Puppet, groups: tuple[int, ...] = ()) -> None:
    process.run(f"os.setgroups({list(groups)}), os.setgid({NOBODY}), os.setuid({NOBODY})")


def drop_capabilities(process: Puppet, kept: int) -> None:
    """Let a puppet keep its ids and lose capabilities, as `setpriv` does."""
    process.run("import struct; header = ctypes.create_string_buffer(struct.pack('Ii', 0x20080522, 0))")
    words = (kept & 0xFFFFFFFF, kept & 0xFFFFFFFF, 0, kept >> 32, kept >> 32, 0)
    process.run(f"data = ctypes.create_string_buffer(struct.pack('6I', *{words}))")
    assert process.run("call('capset', ctypes.addressof(header), ctypes.addressof(data))") == 0


def errno_of_bind(port: int) -> int:
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno or 0
    return 0


def free_privileged_port() -> int:
    """A port below 1024 that root may bind here."""
    for port in range(1023, 600, -1):
        if errno_of_bind(port) == 0:
            return port
    pytest.skip("every port below 1024 is taken, or needs no right here")


def errno_of_mark() -> int:
    with socket.socket() as held:
        try:
            held.setsockopt(socket.SOL_SOCKET, SO_MARK, 1)
        except OSError as error:
            return error.errno or 0
    return 0


def test_the_credentials_of_a_thread(other: Puppet) -> None:
    own = rights.of("thread-self")
    assert (own.uid, own.gid, own.groups) == (os.geteuid(), os.getegid(), frozenset(os.getgroups()))
    assert own.namespace == os.stat("/proc/self/ns/user").st_ino
    assert rights.of(other.pid) == own


def test_the_credentials_of_nobody_left(other: Puppet) -> None:
    other.kill()
    with pytest.raises(FileNotFoundError):
        rights.of(other.pid)
    with pytest.raises(PermissionError), rights_to_lend().taken(other.pid):
        pytest.fail("the rights of nobody were taken")


def rights_to_lend() -> Rights:
    """Rights that are worth looking after, whoever runs the tests."""
    made = Rights()
    made.lends = True
    return made


@needs_root
def test_the_credentials_of_who_became_nobody(other: Puppet) -> None:
    become_nobody(other, (7, 12))
    assert rights.of(other.pid) == Credentials(
        NOBODY, NOBODY, frozenset({7, 12}), 0, rights.of("thread-self").namespace
    )


def test_one_who_is_as_we_are_costs_nothing(other: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    held = rights_to_lend()
    monkeypatch.setattr(kernel, "libc", lambda: pytest.fail("no credentials are to be changed"))
    with held.taken(other.pid):
        assert rights.of("thread-self") == held.own


def test_without_capabilities_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Rights()
    held.lends = False
    monkeypatch.setattr(rights, "of", lambda thread: pytest.fail("nothing is to be looked up"))
    with held.taken(1):
        pass


@needs_root
def test_a_call_is_performed_with_the_callers_rights_and_ours_come_back(other: Puppet) -> None:
    port = free_privileged_port()
    become_nobody(other, (7,))
    held = Rights()
    with held.taken(other.pid):
        now = rights.of("thread-self")
        assert (now.uid, now.gid, now.groups, now.capabilities) == (NOBODY, NOBODY, frozenset({7}), 0)
        assert errno_of_bind(port) == errno.EACCES
        assert errno_of_mark() == errno.EPERM
    assert rights.of("thread-self") == held.own
    assert errno_of_bind(port) == 0


@needs_root
def test_ours_come_back_whatever_happens(other: Puppet) -> None:
    become_nobody(other)
    held = Rights()
    with pytest.raises(ZeroDivisionError), held.taken(other.pid):
        raise ZeroDivisionError
    assert rights.of("thread-self") == held.own


@needs_root
def test_only_the_performing_thread_changes(other: Puppet) -> None:
    become_nobody(other)
    held = Rights()
    taken, looked = threading.Event(), threading.Event()
    within: list[Credentials] = []

    def perform() -> None:
        with held.taken(other.pid):
            within.append(rights.of("thread-self"))
            taken.set()
            looked.wait()
        within.append(rights.of("thread-self"))

    thread = threading.Thread(target=perform, daemon=True)
    thread.start()
    assert taken.wait(20)
    assert rights.of("thread-self") == held.own
    looked.set()
    thread.join()
    assert within[0].uid == NOBODY
    assert within[1] == held.own


@needs_root
def test_threads_with_the_rights_of_different_callers_do_not_meet(other: Puppet) -> None:
    with puppet() as second:
        become_nobody(other)
        second.run("os.setgid(1), os.setuid(1)")
        held = Rights()
        barrier = threading.Barrier(2)
        within: dict[int, set[int]] = {other.pid: set(), second.pid: set()}

        def perform(thread: int) -> None:
            barrier.wait()
            for _ in range(100):
                with held.taken(thread):
                    within[thread].add(rights.of("thread-self").uid)

        threads = [threading.Thread(target=perform, args=(process.pid,), daemon=True) for process in (other, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert within == {other.pid: {NOBODY}, second.pid: {1}}


@needs_root
def test_a_capability_that_the_caller_kept_is_its_own(other: Puppet) -> None:
    port = free_privileged_port()
    drop_capabilities(other, CAP_NET_BIND_SERVICE)
    with Rights().taken(other.pid):
        assert errno_of_bind(port) == 0
        assert errno_of_mark() == errno.EPERM
    assert errno_of_mark() == 0


@needs_root
def test_root_without_capabilities_is_not_lent_ours(other: Puppet) -> None:
    port = free_privileged_port()
    drop_capabilities(other, 0)
    with Rights().taken(other.pid):
        assert rights.of("thread-self").uid == 0
        assert errno_of_bind(port) == errno.EACCES


@needs_root
def test_the_capabilities_of_another_user_namespace_are_nothing_here(other: Puppet) -> None:
    port = free_privileged_port()
    if other.run(f"ctypes.CDLL(None).unshare({CLONE_NEWUSER})"):
        pytest.skip("no user namespaces here")
    assert rights.of(other.pid).capabilities
    held = Rights()
    assert not held.same_namespace(other.pid)
    with held.taken(other.pid):
        assert errno_of_bind(port) == errno.EACCES
    assert rights.of("thread-self") == held.own


def test_namespaces(other: Puppet) -> None:
    held = Rights()
    assert held.same_namespace(other.pid)
    other.kill()
    assert not held.same_namespace(other.pid)


@needs_root
@pytest.mark.parametrize("given_away", [CAP_SETGID | CAP_SETUID, CAP_SETGID, CAP_SETUID, CAP_SYS_PTRACE])
def test_what_cannot_be_taken_or_read_is_refused(other: Puppet, given_away: int) -> None:
    """By a supervisor with less than root's rights: a thread of ours that gave some away."""
    become_nobody(other)
    outcomes: list[object] = []

    def perform() -> None:
        own = rights.of("thread-self")
        lesser = own._replace(capabilities=own.capabilities & ~given_away)
        rights._set_effective_capabilities(lesser.capabilities)
        held = Rights()
        try:
            with held.taken(other.pid):
                outcomes.append("taken")
        except PermissionError as error:
            outcomes.append(error.errno)
        outcomes.append(rights.of("thread-self") == held.own == lesser)

    thread = threading.Thread(target=perform, daemon=True)
    thread.start()
    thread.join()
    assert outcomes == [errno.EACCES, True]
