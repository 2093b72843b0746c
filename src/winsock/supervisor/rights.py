"""A call is performed with its caller's rights, never with the supervisor's.

A root supervisor that binds port 80 for a worker that became nobody would lend it a right that it gave up. So where the
caller's effective ids, groups or capabilities differ from ours, the performing thread takes them for the one call and
puts its own back; Linux keeps credentials by thread, and the raw calls, unlike the C library's, change one thread only.
What cannot be taken is refused with EACCES.

A supervisor without capabilities has nothing to lend, for its program can only have less: then nothing is looked up.
Nor is it for calls in which the kernel asks for no right of the task's: `connect`, `listen` and the questions act with
what the socket was made with. The functions of those that do ask take the rights for the call itself, not for what they
read of the program before: its memory is closed to whom it became.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from winsock.supervisor import kernel

_CAPABILITY_VERSION_3 = 0x20080522
_KEEP = -1


class Credentials(NamedTuple):
    """What the kernel asks about a task: effective ids, groups, effective capabilities, and its user namespace."""

    uid: int
    gid: int
    groups: frozenset[int]
    capabilities: int
    namespace: int = 0


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def of(thread: int | str) -> Credentials:
    """The credentials of a thread ("thread-self" for our own); `OSError` where it has ended."""
    found: dict[bytes, bytes] = {}
    with open(f"/proc/{thread}/status", "rb", 0) as file:
        for line in file.read(8192).splitlines():
            key, _, value = line.partition(b":")
            found[key] = value
    return Credentials(
        int(found[b"Uid"].split()[1]),
        int(found[b"Gid"].split()[1]),
        frozenset(map(int, found[b"Groups"].split())),
        int(found[b"CapEff"], 16),
        namespace_of(thread),
    )


def namespace_of(thread: int | str) -> int:
    """The user namespace of a thread; `OSError` where it has ended or must not be looked at."""
    return os.stat(f"/proc/{thread}/ns/user").st_ino


class Rights:
    """The supervisor's own credentials, and how a thread of it takes a caller's."""

    def __init__(self) -> None:
        self.own = of("thread-self")
        self.lends = self.own.capabilities != 0

    @contextmanager
    def taken(self, thread: int) -> Iterator[None]:
        """Perform what follows with the rights of `thread`; `OSError` EACCES where they cannot be taken."""
        theirs = self._of(thread) if self.lends else self.own
        if theirs == self.own:
            yield
            return
        if theirs.namespace != self.own.namespace or theirs.capabilities & ~self.own.capabilities:
            # Capabilities in a namespace of its own are not ours to take; without them it may still act as itself.
            theirs = theirs._replace(capabilities=0, namespace=self.own.namespace)
        try:
            _take(theirs, self.own)
        except OSError as error:
            _put_back(self.own)
            raise PermissionError(errno.EACCES, "the caller's rights cannot be taken") from error
        try:
            yield
        finally:
            _put_back(self.own)

    def same_namespace(self, thread: int) -> bool:
        """Whether a thread's capabilities mean here what they mean there."""
        try:
            return namespace_of(thread) == self.own.namespace
        except OSError:
            return False

    def _of(self, thread: int) -> Credentials:
        try:
            return of(thread)
        except OSError as error:
            raise PermissionError(errno.EACCES, "the caller's rights cannot be read") from error


def _take(theirs: Credentials, own: Credentials) -> None:
    """Groups and ids first, while we may; the capabilities last. The real and saved ids stay, so that we can return."""
    if theirs.groups != own.groups:
        _set_groups(theirs.groups)
    if theirs.gid != own.gid:
        kernel.libc().call("setresgid", _KEEP, theirs.gid, _KEEP)
    if theirs.uid != own.uid:
        kernel.libc().call("setresuid", _KEEP, theirs.uid, _KEEP)
    _set_effective_capabilities(theirs.capabilities)


def _put_back(own: Credentials) -> None:
    """Back to our own, in the order that needs no right that is not yet back."""
    kernel.libc().call("setresuid", _KEEP, own.uid, _KEEP)
    _set_effective_capabilities(own.capabilities)
    kernel.libc().call("setresgid", _KEEP, own.gid, _KEEP)
    if own.capabilities & 1 << 6:  # CAP_SETGID
        _set_groups(own.groups)


def _set_groups(groups: frozenset[int]) -> None:
    array = (ctypes.c_uint32 * len(groups))(*sorted(groups))
    kernel.libc().call("setgroups", len(groups), ctypes.addressof(array))


def _set_effective_capabilities(wanted: int) -> None:
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)()
    kernel.libc().call("capget", ctypes.addressof(header), ctypes.addressof(data))
    for half in (0, 1):
        data[half].effective = wanted >> 32 * half & 0xFFFFFFFF & data[half].permitted
    kernel.libc().call("capset", ctypes.addressof(header), ctypes.addressof(data))
