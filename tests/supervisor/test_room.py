"""How many numbers a process has left for descriptors, as /proc tells."""

from __future__ import annotations

import os
import sys

import pytest

from tests.puppet import Puppet
from winsock.supervisor import room
from winsock.supervisor.callers import Caller, Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="winsock run needs Linux")


def limit_to(other: Puppet, numbers: int) -> None:
    other.run(f"resource.setrlimit(resource.RLIMIT_NOFILE, ({numbers}, {numbers}))")


def used(other: Puppet) -> int:
    return len(os.listdir(f"/proc/{other.pid}/fd"))


def caller(other: Puppet) -> Caller:
    return Caller(other.pid, Process(other.pid), -1)


def test_a_table_that_may_grow_has_room_that_nobody_counts(other: Puppet) -> None:
    with open(f"/proc/{other.pid}/status", encoding="ascii") as file:
        size = next(int(line.split()[1]) for line in file if line.startswith("FDSize:"))
    limit_to(other, size + 100)
    assert room.left(other.pid) == 100


def test_a_table_that_may_not_grow_is_counted(other: Puppet) -> None:
    limit_to(other, 40)
    assert room.left(other.pid) == 40 - used(other)
    limit_to(other, used(other))
    assert room.left(other.pid) == 0


def test_numbers_above_the_limit_do_not_count(other: Puppet) -> None:
    other.run("os.dup2(0, 50)")
    limit_to(other, 40)
    assert room.left(other.pid) == 40 - (used(other) - 1)


def test_who_is_full_has_no_room_and_is_asked_each_time(other: Puppet) -> None:
    number = other.run("os.open('/', 0)")
    limit_to(other, used(other))
    asks = caller(other)
    assert not room.is_there_for(asks, 1.0)
    other.run(f"os.close({number})")
    assert room.is_there_for(asks, 1.0)
    assert other.run("os.open('/', 0)") == number
    assert not room.is_there_for(asks, 1.0)


def test_who_has_plenty_is_not_asked_again_at_once(other: Puppet) -> None:
    asks = caller(other)
    assert room.is_there_for(asks, 1.0)
    limit_to(other, used(other))
    assert room.is_there_for(asks, 1.01)
    assert not room.is_there_for(asks, 2.0)


def test_of_whom_nothing_is_seen_is_found_out_by_trying(other: Puppet) -> None:
    asks = caller(other)
    other.kill()
    assert room.is_there_for(asks, 1.0)
