"""Giving open descriptors to one other process, by a name of 32 bits that may travel by any channel.

WSPDuplicateSocket has 32 bits of its own in the structure that it answers with. Here they are the name of an AF_UNIX
socket in a folder that only this user can enter, at which a thread of the source process waits. It is not the name that
keeps the descriptors safe: the kernel says who connects, and only the process that was named, while it still is that
process, and of this user, gets them; it must also bring the very structure that was made for it. Any other is sent away
and uses nothing up. An offer is good for one use, for a minute, and while both processes live.

Nobody can make the thread wait: a visitor that connects and says nothing, stopped perhaps, is in no other's way. What a
killed process leaves in the folder is removed by whoever comes across it.

Sources: nc-ws2spi-lpwspduplicatesocket; shared-sockets-in-the-spi-2.
"""

from __future__ import annotations

import array
import atexit
import errno
import os
import secrets
import select
import socket
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from winsock.abi.errors import WSAEINVAL, WSAEMFILE, WSAENETDOWN, WSAENOBUFS, WinsockError, code_of
from winsock.spi.provider import unsupported

GOOD_FOR_S = 60.0
_PATIENCE = struct.pack("@ll", 5, 0)
"""How long the target waits for the source's answer, as a timeval."""
_CREDENTIALS = struct.Struct("=3i")
_HERE_IT_IS = b"\1"
_UNFINISHED = "~"
"""In the name of a file at which nobody waits yet; behind it is the process that is going to."""
_NOSIGNAL = int(getattr(socket, "MSG_NOSIGNAL", 0))
_ROOM = 107
"""The longest path in a sockaddr_un, without the 0 at its end."""
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Offer(NamedTuple):
    """Descriptors that wait for their process."""

    listener: socket.socket
    path: str
    descriptors: tuple[int, ...]
    target: int
    """A pidfd: its number alone could be another process's by now."""
    process_id: int
    proof: bytes
    until: float


class Counter:
    """What this process offers, and the thread that hands it over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offers: dict[int, Offer] = {}
        self._visitors: list[tuple[socket.socket, Offer]] = []
        """The thread's own: those who were named, and have not brought their structure yet."""
        self._bell = -1

    def offer(self, name: int, descriptors: Sequence[int], process_id: int, proof: bytes) -> None:
        """Let that process fetch copies of the descriptors; WSAEINVAL, WSAEMFILE, WSAENOBUFS, WSAENETDOWN."""
        try:
            if self._bell < 0:
                _sweep(folder())
            made = _make(name, descriptors, process_id, proof)
        except ProcessLookupError:
            raise WinsockError(WSAEINVAL, f"process_id: there is no process {process_id}") from None
        except OSError as error:
            raise refusal(error) from None
        with self._lock:
            self._offers[made.listener.fileno()] = made
            if self._bell < 0:
                self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                threading.Thread(target=self._serve, args=(self._bell,), name="winsock-handover", daemon=True).start()
            os.eventfd_write(self._bell, 1)

    def forget(self) -> None:
        """In the child of a fork: the offers are the parent's, and so are their files."""
        for offer in self._offers.values():
            _close(offer)
        for visitor, _ in self._visitors:
            visitor.close()
        if self._bell >= 0:
            os.close(self._bell)
        self._offers, self._visitors, self._bell, self._lock = {}, [], -1, threading.Lock()

    def withdraw(self) -> None:
        """Take every offer back."""
        with self._lock:
            for number in list(self._offers):
                self._end(number)
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def _serve(self, bell: int) -> None:
        """Until nothing is offered any more."""
        while True:
            poller = select.poll()
            poller.register(bell, select.POLLIN)
            with self._lock:
                now = time.monotonic()
                for number in [number for number, offer in self._offers.items() if offer.until <= now]:
                    self._end(number)
                self._part_with_visitors()
                if not self._offers:
                    os.close(bell)
                    self._bell = -1
                    return
                until = min(offer.until for offer in self._offers.values())
                for number, offer in self._offers.items():
                    poller.register(number, select.POLLIN)
                    poller.register(offer.target, select.POLLIN)
            for visitor, _ in self._visitors:
                poller.register(visitor, select.POLLIN)
            ready = {number for number, _ in poller.poll((until - now) * 1000 + 1)}
            if bell in ready:
                os.eventfd_read(bell)
            with self._lock:
                self._look(ready)

    def _look(self, ready: set[int]) -> None:
        """Under the lock: see to what is ready."""
        for meeting in [meeting for meeting in self._visitors if meeting[0].fileno() in ready]:
            self._visitors.remove(meeting)
            visitor, offer = meeting
            with visitor:
                if self._is_open(offer) and _hand_over(offer, visitor):
                    self._end(offer.listener.fileno())
        for number, offer in list(self._offers.items()):
            if offer.target in ready:
                self._end(number)
            elif number in ready:
                self._receive(offer)

    def _receive(self, offer: Offer) -> None:
        try:
            visitor, _ = offer.listener.accept()
        except OSError:
            return
        if _is_meant(offer, visitor):
            visitor.setblocking(False)
            self._visitors.append((visitor, offer))
        else:
            visitor.close()

    def _part_with_visitors(self) -> None:
        """Under the lock: send those away whose offer has ended."""
        for meeting in [meeting for meeting in self._visitors if not self._is_open(meeting[1])]:
            self._visitors.remove(meeting)
            meeting[0].close()

    def _is_open(self, offer: Offer) -> bool:
        return self._offers.get(offer.listener.fileno()) is offer

    def _end(self, number: int) -> None:
        offer = self._offers.pop(number, None)
        if offer is not None:
            _unlink(offer.path)
            _close(offer)


def require_host() -> None:
    """Raises WSAEOPNOTSUPP on a host that lacks what is needed here."""
    if not hasattr(os, "pidfd_open"):
        raise unsupported("sharing sockets on this host")


def refusal(error: OSError) -> WinsockError:
    """Why a socket cannot be shared just now: WSAEMFILE, WSAENETDOWN, WSAENOBUFS for all else."""
    code = code_of(error.errno or errno.ENOBUFS)
    code = code if code in (WSAEMFILE, WSAENETDOWN) else WSAENOBUFS
    return WinsockError(code, f"the socket cannot be shared: {error}", errno=error.errno)


def new_name() -> int:
    """A name that cannot be guessed, and is not 0, which stands for no duplicate at all."""
    return secrets.randbelow(0xFFFFFFFF) + 1


def take(name: int, proof: bytes, count: int) -> list[int]:
    """Fetch so many descriptors that were offered to this process under that name. WSAEINVAL, WSAEMFILE."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            visitor.setsockopt(socket.SOL_SOCKET, option, _PATIENCE)
        try:
            path = os.path.join(folder(), f"{name:08x}")
            if _is_left_behind(path, visitor):
                _unlink(path)
                raise ConnectionRefusedError
            visitor.sendall(proof)
            return _received(visitor, count)
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                raise WinsockError(WSAEMFILE, "no descriptor is left", errno=error.errno) from None
            raise WinsockError(
                WSAEINVAL,
                "protocol_info: it is no duplicate for this process, was used before, is older than a minute, "
                "or the process that made it has ended",
            ) from None


def _received(visitor: socket.socket, count: int) -> list[int]:
    room = socket.CMSG_SPACE(count * array.array("i").itemsize)
    answer, ancillary, flags, _ = visitor.recvmsg(len(_HERE_IT_IS), room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if answer == _HERE_IT_IS and len(descriptors) == count and not flags & socket.MSG_CTRUNC:
        return list(descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    if flags & socket.MSG_CTRUNC:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    raise ConnectionResetError


def folder() -> str:
    """Where this user's offers are; made at its first use. `OSError` where the folder is somebody else's."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    path = os.path.join(base, "winsock") if base else os.path.join(tempfile.gettempdir(), f"winsock-{os.geteuid()}")
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(errno.EACCES, "it must be a folder of this user's, open to nobody else", path)
    return path


def _make(name: int, descriptors: Sequence[int], process_id: int, proof: bytes) -> Offer:
    path = os.path.join(folder(), f"{name:08x}")
    target = _pidfd(process_id)
    copies: list[int] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        copies.extend(os.dup(descriptor) for descriptor in descriptors)
        unfinished = f"{path}{_UNFINISHED}{os.getpid()}"
        with _address(unfinished) as address:
            listener.bind(address)
        try:
            listener.listen()
            os.link(unfinished, path)
        finally:
            _unlink(unfinished)
        listener.setblocking(False)
    except OSError:
        listener.close()
        for number in (target, *copies):
            os.close(number)
        raise
    return Offer(listener, path, tuple(copies), target, process_id, proof, time.monotonic() + GOOD_FOR_S)


def _pidfd(process_id: int) -> int:
    try:
        return os.pidfd_open(process_id)
    except (OverflowError, TypeError, ValueError):
        raise ProcessLookupError from None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ProcessLookupError from None
        raise


def _is_meant(offer: Offer, visitor: socket.socket) -> bool:
    """Whether the kernel says that it is the process, which has not ended since."""
    raw = visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process_id, user, _ = _CREDENTIALS.unpack(raw)
    if process_id != offer.process_id or user != os.geteuid():
        return False
    poller = select.poll()
    poller.register(offer.target, select.POLLIN)
    return not poller.poll(0)


def _hand_over(offer: Offer, visitor: socket.socket) -> bool:
    """Whether a visitor has brought the structure, and has got the descriptors for it."""
    try:
        if visitor.recv(len(offer.proof) + 1) != offer.proof:
            return False
        rights = array.array("i", offer.descriptors)
        visitor.sendmsg([_HERE_IT_IS], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _NOSIGNAL)
    except OSError:
        return False
    return True


def _close(offer: Offer) -> None:
    offer.listener.close()
    for number in (*offer.descriptors, offer.target):
        os.close(number)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _is_left_behind(path: str, visitor: socket.socket) -> bool:
    """Connect, and tell whether the process that made the file has ended; other errors are raised."""
    try:
        with _address(path) as address:
            visitor.connect(address)
    except ConnectionRefusedError:
        return True
    return False


@contextmanager
def _address(path: str) -> Iterator[str]:
    """The path as the address of a socket, which has little room: a long one begins at its folder's descriptor."""
    if len(os.fsencode(path)) <= _ROOM:
        yield path
        return
    above, name = os.path.split(path)
    descriptor = os.open(above, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _has_ended(process_id: int) -> bool:
    try:
        os.close(_pidfd(process_id))
    except ProcessLookupError:
        return True
    return False


def _sweep(path: str) -> None:
    """Remove what processes left behind that ended without a word."""
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                _, unfinished, process_id = entry.name.partition(_UNFINISHED)
                if unfinished:
                    is_left_behind = _has_ended(int(process_id))
                else:
                    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor:
                        visitor.setblocking(False)
                        is_left_behind = _is_left_behind(entry.path, visitor)
                if is_left_behind:
                    os.unlink(entry.path)
            except (OSError, ValueError):
                pass


counter = Counter()
atexit.register(counter.withdraw)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=counter.forget)
