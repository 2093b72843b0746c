"""A process to share sockets with: runs the lines it is given, each an expression, and answers with what came out.

`take(hex)` opens a duplicate; everything of winsock is there by name.
"""

from __future__ import annotations

import sys

import winsock
from winsock import FROM_PROTOCOL_INFO, WSAPROTOCOL_INFO, WSASocket
from winsock.abi import constants


def take(text: str, g: int = 0, flags: int = 0) -> int:
    """Open the duplicate that the structure describes."""
    info = WSAPROTOCOL_INFO.unpack(bytes.fromhex(text))
    return WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info, g, flags)


def main() -> None:
    """Until there are no more lines."""
    names = vars(constants) | {name: getattr(winsock, name) for name in dir(winsock)} | {"take": take}
    with winsock.started():
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                print(repr(eval(line, names)), flush=True)
            except winsock.WinsockError as error:
                print(error.name, flush=True)


main()
