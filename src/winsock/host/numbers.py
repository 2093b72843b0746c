"""Numbers of the kernel: kinds of sockets, system calls by machine, architectures, the ioctls of a seccomp listener.

From linux/socket.h, linux/seccomp.h, linux/audit.h and the tables of system calls; x86-64 and aarch64.
"""

from __future__ import annotations

import errno
import os
import select
from typing import NamedTuple

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 0, 1, 2, 10, 16
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
SOCK_TYPE_MASK = 0xF
IPPROTO_TCP, IPPROTO_UDP = 6, 17
SOL_SOCKET = 1

SECCOMP_SET_MODE_FILTER = 1
FILTER_FLAG_SPEC_ALLOW = 1 << 2
FILTER_FLAG_NEW_LISTENER = 1 << 3
FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5

NOTIF_RECV = 0xC0502100
NOTIF_SEND = 0xC0182101
NOTIF_ID_VALID = 0x40082102
NOTIF_ADDFD = 0x40182103
NOTIF_SET_FLAGS = 0x40082104
NOTIF_FLAG_CONTINUE = 1
NOTIF_FD_SYNC_WAKE_UP = 1
ADDFD_FLAG_SEND = 2

ERESTARTSYS = 512
"""Never seen by a program: the kernel runs the signal's handler, then restarts the call or makes it EINTR."""

AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_I386 = 0x40000003
AUDIT_ARCH_AARCH64 = 0xC00000B7
AUDIT_ARCH_ARM = 0x40000028
X32_BIT = 0x40000000


class Machine(NamedTuple):
    """One machine's system calls: its own architecture, and the 32-bit one that its kernel also runs."""

    arch: int
    calls: dict[str, int]
    foreign_arch: int
    foreign_calls: dict[str, int]


_X86_64 = {
    "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48,
    "bind": 49, "listen": 50, "getsockname": 51, "getpeername": 52, "socketpair": 53, "setsockopt": 54,
    "getsockopt": 55, "socket": 41, "accept4": 288, "recvmmsg": 299, "sendmmsg": 307, "seccomp": 317,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "io_uring_setup": 425, "pidfd_open": 434,
    "pidfd_getfd": 438, "setresuid": 117, "setresgid": 119, "setgroups": 116, "capget": 125, "capset": 126,
}  # fmt: skip
_I386 = {
    "socketcall": 102, "socket": 359, "socketpair": 360, "bind": 361, "connect": 362, "listen": 363, "accept4": 364,
    "getsockopt": 365, "setsockopt": 366, "getsockname": 367, "getpeername": 368, "sendto": 369, "sendmsg": 370,
    "recvfrom": 371, "recvmsg": 372, "shutdown": 373, "recvmmsg": 337, "sendmmsg": 345, "io_uring_setup": 425,
    "recvmmsg_time64": 417,
}  # fmt: skip
_AARCH64 = {
    "connect": 203, "accept": 202, "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212, "shutdown": 210,
    "bind": 200, "listen": 201, "getsockname": 204, "getpeername": 205, "socketpair": 199, "setsockopt": 208,
    "getsockopt": 209, "socket": 198, "accept4": 242, "recvmmsg": 243, "sendmmsg": 269, "seccomp": 277,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "io_uring_setup": 425, "pidfd_open": 434,
    "pidfd_getfd": 438, "setresuid": 147, "setresgid": 149, "setgroups": 159, "capget": 90, "capset": 91,
}  # fmt: skip
_ARM = {
    "socket": 281, "bind": 282, "connect": 283, "listen": 284, "accept": 285, "getsockname": 286, "getpeername": 287,
    "socketpair": 288, "send": 289, "sendto": 290, "recv": 291, "recvfrom": 292, "shutdown": 293, "setsockopt": 294,
    "getsockopt": 295, "sendmsg": 296, "recvmsg": 297, "recvmmsg": 365, "accept4": 366, "sendmmsg": 374,
    "io_uring_setup": 425, "recvmmsg_time64": 417,
}  # fmt: skip

X86_64 = Machine(AUDIT_ARCH_X86_64, _X86_64, AUDIT_ARCH_I386, _I386)
AARCH64 = Machine(AUDIT_ARCH_AARCH64, _AARCH64, AUDIT_ARCH_ARM, _ARM)
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}


def machine() -> Machine:
    """The machine we run on; `OSError` (ENOSYS) where the supervisor does not know its system calls."""
    name = os.uname().machine if hasattr(os, "uname") else "unknown"
    found = MACHINES.get(name)
    if found is None:
        raise OSError(errno.ENOSYS, f"winsock run knows x86-64 and aarch64, this machine is {name}")
    return found


HOST_POLLIN: int = getattr(select, "POLLIN", 0x001)
HOST_POLLPRI: int = getattr(select, "POLLPRI", 0x002)
HOST_POLLOUT: int = getattr(select, "POLLOUT", 0x004)
HOST_POLLERR: int = getattr(select, "POLLERR", 0x008)
HOST_POLLHUP: int = getattr(select, "POLLHUP", 0x010)
HOST_POLLNVAL: int = getattr(select, "POLLNVAL", 0x020)
HOST_POLLRDHUP: int = getattr(select, "POLLRDHUP", 0x2000)
"""The host's events of poll(); Linux' where it has no poll()."""
LONGEST_POLL_MS = 0x7FFFFFFF
"""poll() takes no longer time-out: 24 days."""
