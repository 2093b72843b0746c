"""Local streams, of which the kernel tells what poll() does not: by sock_diag(7)."""

from __future__ import annotations

import os
import socket
import struct

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_SHOW_PEER, _PEER = 4, 2
_ANY = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_MESSAGE = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")


def has_open_peer(descriptor: int) -> bool:
    """Whether the socket that this one is connected to is open still; raises `OSError` where nobody can tell."""
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ANY, os.fstat(descriptor).st_ino, _SHOW_PEER, _ANY, _ANY)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as asking:
        asking.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + request)
        answer = asking.recv(4096)
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        raise OSError(-struct.unpack_from("=i", answer, _HEADER.size)[0], "sock_diag does not tell")
    at = _HEADER.size + _MESSAGE.size
    while at < length:
        size, attribute = _ATTRIBUTE.unpack_from(answer, at)
        if attribute == _PEER:
            return bool(_NUMBER.unpack_from(answer, at + _ATTRIBUTE.size)[0])  # who is closed has no number
        at += size + 3 & ~3
    return False
