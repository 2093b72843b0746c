"""A process to share sockets with: runs the lines it is given, each an expression, and answers with what came out.

`take(hex)` opens a duplicate; everything of winsock is there by name. Its arguments are layers over every protocol, by
their import paths; `installed`: those of the catalog.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import winsock
from winsock import FROM_PROTOCOL_INFO, WSAPROTOCOL_INFO, WSASocket
from winsock.abi import constants
from winsock.catalog.entries import Catalog
from winsock.dispatcher import process
from winsock.testing import through

pending: list[threading.Thread] = []
outcomes: list[str] = []


def take(text: str, g: int = 0, flags: int = 0) -> int:
    """Open the duplicate that the structure describes."""
    info = WSAPROTOCOL_INFO.unpack(bytes.fromhex(text))
    return WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info, g, flags)


def begin(call: Callable[..., object], *arguments: object) -> None:
    """Call it in a thread; `ended()` tells what came out."""

    def body() -> None:
        try:
            outcomes.append(repr(call(*arguments)))
        except winsock.WinsockError as error:
            outcomes.append(error.name)

    pending.append(threading.Thread(target=body, daemon=True))
    pending[-1].start()


def ended() -> str:
    """What came out of the last call that was begun."""
    pending.pop().join(20)
    return outcomes.pop()


def catalog() -> Catalog | None:
    """What to start with."""
    if sys.argv[1:] == ["installed"]:
        return process.installed()
    return through(*sys.argv[1:])


def main() -> None:
    """Until there are no more lines."""
    own = {"take": take, "begin": begin, "ended": ended}
    names = vars(constants) | {name: getattr(winsock, name) for name in dir(winsock)} | own
    with winsock.started(catalog=catalog()):
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                print(repr(eval(line, names)), flush=True)
            except winsock.WinsockError as error:
                print(error.name, flush=True)


main()
