"""A network of a test's own: a namespace with loopback and one wire, and a far end of it. Only root can make one."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tests.waiting import wait_until

T = TypeVar("T")
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


def await_address(address: str) -> None:
    """Until the network that this thread is in takes what is sent to its own address, which `ip` does not wait for."""
    local = f"{int(ipaddress.IPv6Address(address)):032x} 80 "

    def routes() -> str:
        with open("/proc/thread-self/net/ipv6_route") as file:
            return file.read()

    wait_until(lambda: local in routes(), f"a route to {address}", routes)


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
            await_address(IPV6)
            yield
        finally:
            libc.setns(here, CLONE_NEWNET)
    finally:
        os.close(here)


class Far:
    """A host at the other end of the wire, which has a thread of its own in a network of its own."""

    ADDRESSES = ("10.77.0.2", "fd77::2")

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def does(self, body: Callable[[], T]) -> T:
        """What the body answers there."""
        return self._pool.submit(body).result()

    def vanish(self) -> None:
        """From now on nothing that is sent to it arrives, and nobody is told."""
        self.does(lambda: ip("addr flush dev other"))


@contextmanager
def far_host() -> Iterator[Far]:
    """In a network of one's own: who is at the other end of its wire."""
    libc = ctypes.CDLL(None, use_errno=True)

    def move() -> int:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network of its own")
        return threading.get_native_id()

    with ThreadPoolExecutor(1) as pool:
        far = Far(pool)
        ip(f"link set other netns {far.does(move)}", f"link set {NAME} up")
        ipv4, ipv6 = Far.ADDRESSES
        far.does(
            lambda: ip("link set other up", f"addr add {ipv4}/24 dev other", f"addr add {ipv6}/64 dev other nodad")
        )
        far.does(lambda: await_address(ipv6))
        yield far


def _may_make_one() -> bool:
    try:
        with own_network():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


needs_root = pytest.mark.root
needs_a_network = pytest.mark.skipif(not _may_make_one(), reason="a network of one's own needs CAP_SYS_ADMIN and ip(8)")
