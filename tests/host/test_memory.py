"""read_memory and write_memory: another task's memory, as far as it may use it itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from tests.host.conftest import Twin
from tests.puppet import Puppet, puppet
from winsock.host import pure

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def other() -> Iterator[Puppet]:
    with puppet() as process:
        process.run("pages = mmap.mmap(-1, 3 * mmap.PAGESIZE)")
        process.run("at = ctypes.addressof(ctypes.c_char.from_buffer(pages))")
        process.run("ctypes.CDLL(None).mprotect(ctypes.c_void_p(at + mmap.PAGESIZE), mmap.PAGESIZE, mmap.PROT_READ)")
        process.run("ctypes.CDLL(None).mprotect(ctypes.c_void_p(at + 2 * mmap.PAGESIZE), mmap.PAGESIZE, 0)")
        yield process


@pytest.fixture(scope="module")
def base(other: Puppet) -> int:
    """Where a writable page begins; after it one that is only readable, then one that is neither."""
    address: int = other.run("at")
    return address


def test_what_is_written_is_read(host: Twin, other: Puppet, base: int) -> None:
    for data in (b"", b"x", b"hello\0world", os.urandom(pure.MOST)):
        host.write_memory(other.pid, base, data)
        assert other.run(f"ctypes.string_at(at, {len(data)})") == data
        assert host.read_memory(other.pid, base, len(data)) == data


def test_any_buffer_can_be_written(host: Twin, other: Puppet, base: int) -> None:
    for data in (bytearray(b"one"), memoryview(b"two")):
        host.write_memory(other.pid, base, data)  # type: ignore[arg-type]
        assert host.read_memory(other.pid, base, 3) == bytes(data)


def test_a_copy_stays_what_it_was(host: Twin, other: Puppet, base: int) -> None:
    host.write_memory(other.pid, base, b"before")
    copy = host.read_memory(other.pid, base, 6)
    host.write_memory(other.pid, base, b"after!")
    assert host.read_memory(other.pid, base, 6) == b"after!"
    assert copy == b"before"


@pytest.mark.parametrize("address", [0, 8, (1 << 63) + 64, (1 << 64) - 8], ids=hex)
def test_a_bad_pointer_is_a_fault(host: Twin, other: Puppet, address: int) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EFAULT)) as caught:
        host.read_memory(other.pid, address, 4)
    assert caught.value.errno == errno.EFAULT
    with pytest.raises(OSError, match=os.strerror(errno.EFAULT)):
        host.write_memory(other.pid, address, b"1234")


def test_what_is_readable_only_in_part_is_a_fault(host: Twin, other: Puppet, base: int) -> None:
    edge = base + 2 * PAGE
    assert host.read_memory(other.pid, edge - 16, 16) == bytes(16)
    with pytest.raises(OSError, match=os.strerror(errno.EFAULT)):
        host.read_memory(other.pid, edge - 16, 17)


def test_memory_that_the_program_may_only_read_is_not_written(host: Twin, other: Puppet, base: int) -> None:
    assert host.read_memory(other.pid, base + PAGE, 8) == bytes(8)
    with pytest.raises(OSError, match=os.strerror(errno.EFAULT)):
        host.write_memory(other.pid, base + PAGE, b"1")
    with pytest.raises(OSError, match=os.strerror(errno.EFAULT)):
        host.write_memory(other.pid, base + PAGE - 4, b"12345678")
    assert host.read_memory(other.pid, base + PAGE, 8) == bytes(8)


def test_a_task_that_is_gone(host: Twin) -> None:
    with puppet() as process:
        process.kill()
        with pytest.raises(ProcessLookupError):
            host.read_memory(process.pid, 4096, 4)
        with pytest.raises(ProcessLookupError):
            host.write_memory(process.pid, 4096, b"1234")
