"""Giving an open descriptor to one other process, by a name of 32 bits that may travel by any channel.

WSPDuplicateSocket has 32 bits of its own in the structure that it answers with. Here they are the name of an AF_UNIX
socket in a folder that only this user can enter, at which a thread of the source process waits. It is not the name that
keeps the descriptor safe: the kernel says who connects, and only the process that was named, while it still is that
process, and of this user, gets it; it must also bring the very structure that was made for it. Any other is sent away
and uses nothing up. An offer is good for one use, for a minute, and while the source lives.

What travels beside the descriptor is the provider's own.

Sources: nc-ws2spi-lpwspduplicatesocket; shared-sockets-in-the-spi-2.
"""

from __future__ import annotations

import array
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
from typing import NamedTuple

from winsock.abi.errors import WSAEINVAL, WSAEMFILE, WSAENETDOWN, WSAENOBUFS, WinsockError, code_of
from winsock.spi.provider import unsupported

GOOD_FOR_S = 60.0
_PATIENCE_S = 5.0
"""How long either side waits for the other's next word."""
_CREDENTIALS = struct.Struct("=3i")
_LENGTH = struct.Struct("=II")
_MOST_STATE = 1 << 16
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Offer(NamedTuple):
    """One descriptor that waits for its process."""

    listener: socket.socket
    path: str
    descriptor: int
    target: int
    """A pidfd: its number alone could be another process's by now."""
    process_id: int
    proof: bytes
    state: bytes
    until: float


class Counter:
    """What this process offers, and the thread that hands it over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offers: dict[int, Offer] = {}
        self._bell = -1

    def offer(self, name: int, descriptor: int, process_id: int, proof: bytes, state: bytes) -> None:
        """Let that process fetch a copy of the descriptor; WSAEINVAL, WSAEMFILE, WSAENOBUFS, WSAENETDOWN."""
        try:
            made = _make(name, descriptor, process_id, proof, state)
        except ProcessLookupError:
            raise WinsockError(WSAEINVAL, f"process_id: there is no process {process_id}") from None
        except OSError as error:
            code = code_of(error.errno or errno.EIO)
            code = code if code in (WSAEMFILE, WSAENETDOWN) else WSAENOBUFS
            raise WinsockError(code, f"the socket cannot be offered: {error}", errno=error.errno) from None
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
        if self._bell >= 0:
            os.close(self._bell)
        self._offers, self._bell, self._lock = {}, -1, threading.Lock()

    def withdraw(self) -> None:
        """Take every offer back."""
        with self._lock:
            for number in list(self._offers):
                self._end(number)

    def _serve(self, bell: int) -> None:
        """Until nothing is offered any more."""
        while True:
            poller = select.poll()
            poller.register(bell, select.POLLIN)
            with self._lock:
                now = time.monotonic()
                for number in [number for number, offer in self._offers.items() if offer.until <= now]:
                    self._end(number)
                if not self._offers:
                    os.close(bell)
                    self._bell = -1
                    return
                until = min(offer.until for offer in self._offers.values())
                for number in self._offers:
                    poller.register(number, select.POLLIN)
            for number, _ in poller.poll((until - now) * 1000 + 1):
                if number == bell:
                    os.eventfd_read(bell)
                else:
                    self._hand_over(number)

    def _hand_over(self, number: int) -> None:
        with self._lock:
            offer = self._offers.get(number)
        if offer is None:
            return
        try:
            visitor, _ = offer.listener.accept()
        except OSError:
            return
        with visitor:
            if not _is_meant(offer, visitor):
                return
            try:
                visitor.settimeout(_PATIENCE_S)
                if _receive(visitor, len(offer.proof)) != offer.proof:
                    return
                header = _LENGTH.pack(os.getpid(), len(offer.state))
                rights = array.array("i", [offer.descriptor])
                visitor.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                visitor.sendall(offer.state)
            except OSError:
                return
        with self._lock:
            self._end(number)

    def _end(self, number: int) -> None:
        offer = self._offers.pop(number, None)
        if offer is not None:
            _unlink(offer.path)
            _close(offer)


def new_name() -> int:
    """A name that cannot be guessed, and is not 0, which stands for no duplicate at all."""
    return secrets.randbelow(0xFFFFFFFF) + 1


def take(name: int, proof: bytes) -> tuple[int, bytes]:
    """Fetch what was offered to this process under that name: (descriptor, state). WSAEINVAL, WSAEMFILE."""
    if not hasattr(os, "pidfd_open"):
        raise unsupported("sharing sockets on this host")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.settimeout(_PATIENCE_S)
        try:
            visitor.connect(os.path.join(folder(), f"{name:08x}"))
            visitor.sendall(proof)
            return _received(visitor)
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                raise WinsockError(WSAEMFILE, "no descriptor is left", errno=error.errno) from None
            raise WinsockError(
                WSAEINVAL,
                "protocol_info: it is no duplicate for this process, was used before, is older than a minute, "
                "or the process that made it has ended",
            ) from None


def _received(visitor: socket.socket) -> tuple[int, bytes]:
    header, ancillary, flags, _ = visitor.recvmsg(_LENGTH.size, socket.CMSG_SPACE(4))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data)
    try:
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if len(header) != _LENGTH.size or len(descriptors) != 1:
            raise ConnectionResetError
        size = _LENGTH.unpack(header)[1]
        if size > _MOST_STATE:
            raise ConnectionResetError
        return descriptors[0], _receive(visitor, size)
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


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


def _make(name: int, descriptor: int, process_id: int, proof: bytes, state: bytes) -> Offer:
    if not hasattr(os, "pidfd_open"):
        raise unsupported("sharing sockets on this host")
    _sweep(folder())
    path = os.path.join(folder(), f"{name:08x}")
    target = _pidfd(process_id)
    copy = -1
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        copy = os.dup(descriptor)
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
    except OSError:
        listener.close()
        for number in (target, copy):
            if number >= 0:
                os.close(number)
        raise
    return Offer(listener, path, copy, target, process_id, proof, state, time.monotonic() + GOOD_FOR_S)


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


def _receive(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = stream.recv(size - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data


def _close(offer: Offer) -> None:
    offer.listener.close()
    os.close(offer.descriptor)
    os.close(offer.target)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _sweep(path: str) -> None:
    """Remove what processes left behind that ended without a word."""
    oldest = time.time() - 2 * GOOD_FOR_S
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)
            except OSError:
                pass


counter = Counter()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=counter.forget)
