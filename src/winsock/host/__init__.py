"""What every call costs: the kernel calls of a supervised one, the guard of a layer's function, the record of a handle.

They are compiled where a compiler was at hand, and in Python everywhere. Both have the same functions and the same
answers (`winsock._hot`, `winsock.host.pure`; the same tests run over both). `WINSOCK_PURE=1` in the environment chooses
Python.
"""

from __future__ import annotations

import os

from winsock.host import pure
from winsock.host.pure import Association as Association

NOTHING, EVENT, HUNG_UP = pure.NOTHING, pure.EVENT, pure.HUNG_UP
NOBODY, RESET_ON_CLOSE, CLOSE_IN_ORDER = pure.NOBODY, pure.RESET_ON_CLOSE, pure.CLOSE_IN_ORDER
COMPILED = False
"""Whether the compiled functions are in use."""

receive = pure.receive
answer = pure.answer
valid = pure.valid
take = pure.take
kind = pure.kind
read_memory = pure.read_memory
write_memory = pure.write_memory
connect = pure.connect
name = pure.name
close_each = pure.close_each
identity = pure.identity
same = pure.same
make = pure.make
network = pure.network
guarded = pure.guarded

if os.environ.get("WINSOCK_PURE", "0") in ("", "0"):
    try:
        from winsock._hot import Association as Association  # type: ignore[assignment]
        from winsock._hot import (  # noqa: F401
            answer,
            close_each,
            connect,
            guarded,
            identity,
            kind,
            make,
            name,
            network,
            read_memory,
            receive,
            same,
            take,
            valid,
            write_memory,
        )

        COMPILED = True
    except ImportError:
        pass  # built without a compiler
