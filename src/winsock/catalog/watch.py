"""Being told of changes of the catalog, by whichever process: a descriptor that becomes readable.

It is one of inotify's, on the catalog's file: SQLite writes that only when a change is committed. Where there is no
file yet it watches the folder in which one would appear, or the nearest that there is. So a descriptor may become
readable for nothing: what tells is the number that the catalog bears, another one after every change.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys

from winsock.abi.errors import WSA_INVALID_HANDLE, WSAEOPNOTSUPP, WinsockError, from_errno
from winsock.catalog import store

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO, _IN_ATTRIB = 0x2, 0x100, 0x80, 0x4
_IN_DELETE_SELF, _IN_MOVE_SELF = 0x400, 0x800
_OF_FILE = _IN_MODIFY | _IN_ATTRIB | _IN_MOVE_SELF | _IN_DELETE_SELF
_OF_FOLDER = _IN_CREATE | _IN_MOVED_TO | _IN_MOVE_SELF | _IN_DELETE_SELF
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_INOTIFY = "anon_inode:inotify"
_MUCH = 65536


class _Watch:
    """What a descriptor watches, and the catalog's number when its owner was last told."""

    __slots__ = ("generation", "place")

    def __init__(self) -> None:
        self.generation = 0
        self.place = -1


_watches: dict[int, _Watch] = {}


def open_notification() -> int:
    """A descriptor that becomes readable after a change; `os.close` ends it. Raises WSAEOPNOTSUPP: not on this host."""
    if not sys.platform.startswith("linux"):
        raise WinsockError(WSAEOPNOTSUPP, "changes of the catalog are told on Linux only")
    descriptor: int = _libc().inotify_init1(_FLAGS)
    if descriptor < 0:
        raise from_errno(ctypes.get_errno(), "inotify_init1")
    watch = _watches[descriptor] = _Watch()
    try:
        _look(descriptor, watch)
    except BaseException:
        del _watches[descriptor]
        os.close(descriptor)
        raise
    return descriptor


def wait_for_change(descriptor: int) -> None:
    """Wait until the catalog is another than when the descriptor's owner was last told. Raises WSA_INVALID_HANDLE."""
    watch = _watches.get(descriptor)
    if watch is None or not _is_ours(descriptor):
        _watches.pop(descriptor, None)
        raise WinsockError(WSA_INVALID_HANDLE, f"{descriptor!r} is no notification handle")
    told = watch.generation
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while _look(descriptor, watch) == told:
        poll.poll()


def _look(descriptor: int, watch: _Watch) -> int:
    """The catalog's number now. What comes after the taking leaves the descriptor readable: nothing is taken unseen.

    Another place to watch means another look: what appeared in it before it was watched has told nobody.
    """
    while True:
        _drain(descriptor)
        place = watch.place
        _watch(descriptor, watch)
        generation = store.read().generation
        if (place, watch.generation) == (watch.place, generation):
            return generation
        watch.generation = generation


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, _MUCH):
            pass
    except BlockingIOError:
        pass


def _watch(descriptor: int, watch: _Watch) -> None:
    """Watch the file; where there is none, the nearest folder; and nothing else."""
    libc, path, mask = _libc(), store.location(), _OF_FILE
    while (place := libc.inotify_add_watch(descriptor, os.fsencode(path), mask)) < 0:
        if path == os.path.dirname(path):
            raise from_errno(ctypes.get_errno(), "inotify_add_watch")
        path, mask = os.path.dirname(path), _OF_FOLDER
    if watch.place not in (-1, place):
        libc.inotify_rm_watch(descriptor, watch.place)
    watch.place = place


def _is_ours(descriptor: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}") == _INOTIFY
    except OSError:
        return False


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
