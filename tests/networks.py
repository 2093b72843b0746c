"""A network of a test's own: a namespace with loopback and one wire, which only root can make."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CLONE_NEWNET = 0x40000000
NAME, IPV4, IPV6 = "wire", "10.77.0.1", "fd77::1"
_WIRE = (
    "link set lo up",
    f"link add {NAME} type veth peer name other",
    "link set other addrgenmode none",
    "link set other up",
    f"link set {NAME} addrgenmode none",  # no address that must be waited for
    f"link set {NAME} up",
    f"addr add {IPV4}/24 dev {NAME}",
    f"addr add {IPV6}/64 dev {NAME} nodad",
    f"route add default dev {NAME}",
)


def ip(*commands: str) -> None:
    """What ip(8) is told, in the network that this thread is in."""
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, and what it starts, are in a network of their own for the time being."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network of one's own")
        try:
            ip(*_WIRE)
            yield
        finally:
            libc.setns(here, CLONE_NEWNET)
    finally:
        os.close(here)


def _may_make_one() -> bool:
    try:
        with own_network():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


needs_root = pytest.mark.root
needs_a_network = pytest.mark.skipif(not _may_make_one(), reason="a network of one's own needs CAP_SYS_ADMIN and ip(8)")
