"""The host's socket calls: those of the C library on Linux, the `socket` module's elsewhere."""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from winsock.base.inet.libc import (
        accept,
        bind,
        connect,
        exchange_option,
        getpeername,
        getsockname,
        getsockopt,
        listen,
        recvmsg,
        sendmsg,
        setsockopt,
        shutdown,
    )
else:
    from winsock.base.inet.plain import (
        accept,
        bind,
        connect,
        exchange_option,
        getpeername,
        getsockname,
        getsockopt,
        listen,
        recvmsg,
        sendmsg,
        setsockopt,
        shutdown,
    )

__all__ = [
    "accept",
    "bind",
    "connect",
    "exchange_option",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvmsg",
    "sendmsg",
    "setsockopt",
    "shutdown",
]
