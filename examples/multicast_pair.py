"""A multicast pair: one program speaks to a group, whoever is a member hears it.

    python multicast_pair.py                hear the group and speak to it, at loopback
    python multicast_pair.py hear           hear the group until somebody says "bye"
    python multicast_pair.py say WORD...    speak to it

Both ends are leaves of a multipoint session (WSAJoinLeaf): IP multicast has no roots. A receiver is bound to the port
of the group; a sender needs no port, and sends to nobody in particular.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Iterator

import winsock
from winsock import SockaddrIn

GROUP = SockaddrIn("239.192.7.7", 7070)
AT_LOOPBACK = socket.inet_aton("127.0.0.1")  # the interface; leave it out to use the host's choice


def leaf() -> int:
    """A datagram socket that may join a session."""
    flags = winsock.WSA_FLAG_MULTIPOINT_C_LEAF | winsock.WSA_FLAG_MULTIPOINT_D_LEAF
    s = winsock.WSASocket(winsock.AF_INET, winsock.SOCK_DGRAM, winsock.IPPROTO_UDP, None, 0, flags)
    winsock.setsockopt(s, winsock.IPPROTO_IP, winsock.IP_MULTICAST_IF, AT_LOOPBACK)
    return s


def receiver() -> int:
    """A member that hears the group; several on one host may."""
    s = leaf()
    winsock.setsockopt(s, winsock.SOL_SOCKET, winsock.SO_REUSEADDR, 1)
    winsock.bind(s, ("0.0.0.0", GROUP.port))
    return winsock.WSAJoinLeaf(s, GROUP, None, None, None, None, winsock.JL_RECEIVER_ONLY)


def sender() -> int:
    """A member that speaks to the group, and no farther than to this host."""
    s = winsock.WSAJoinLeaf(leaf(), GROUP, None, None, None, None, winsock.JL_SENDER_ONLY)
    winsock.WSAIoctl(s, winsock.SIO_MULTICAST_SCOPE, bytes(4))
    return s


def heard(s: int) -> Iterator[str]:
    """Every word, until somebody says "bye"."""
    while True:
        data, source = winsock.recvfrom(s, 1500)
        word = data.decode()
        yield f"{source}: {word}"
        if word == "bye":
            return


def say(words: list[str]) -> None:
    """Speak to the group, and say "bye"."""
    s = sender()
    for word in (*words, "bye"):
        winsock.send(s, word.encode())
    winsock.closesocket(s)


def main(arguments: list[str]) -> None:
    """Hear, say, or both."""
    usage = argparse.ArgumentParser(description="Hear a multicast group, speak to it, or both.")
    commands = usage.add_subparsers(dest="command")
    commands.add_parser("hear", help='hear the group until somebody says "bye"')
    commands.add_parser("say", help="speak to the group").add_argument("words", nargs="*", metavar="WORD")
    chosen = usage.parse_args(arguments)
    with winsock.started():
        if chosen.command == "say":
            say(chosen.words)
            return
        s = receiver()
        print(f"a member of {GROUP}", flush=True)
        if chosen.command is None:
            say(["hello", "group"])
        for line in heard(s):
            print(line, flush=True)
        winsock.closesocket(s)


if __name__ == "__main__":
    main(sys.argv[1:])
