"""One socket in two processes: this one accepts connections, and another one answers them.

    python shared_socket.py [CONNECTIONS]

WSADuplicateSocket makes a structure of 628 bytes for one process, which opens the same socket with it, once. How the
bytes get there is the programs' affair, here through a pipe: in any other hands they are worth nothing. The socket
closes with the last descriptor, so the one that gave it away can close its own as soon as it was taken.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import BinaryIO

import winsock
from winsock import FROM_PROTOCOL_INFO, WSAPROTOCOL_INFO

SIZE = 628


def give(connections: int) -> None:
    """Accept, and hand every connection to the worker."""
    with subprocess.Popen([sys.executable, __file__, "work"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        listener = winsock.socket(winsock.AF_INET, winsock.SOCK_STREAM, winsock.IPPROTO_TCP)
        winsock.bind(listener, ("127.0.0.1", 0))
        winsock.listen(listener, winsock.SOMAXCONN)
        print(f"process {worker.pid} answers at {winsock.getsockname(listener)}", flush=True)
        for _ in range(connections):
            s, peer = winsock.accept(listener)
            worker.stdin.write(winsock.WSADuplicateSocket(s, worker.pid).pack())
            worker.stdin.flush()
            taken = worker.stdout.readline().decode().strip()
            winsock.closesocket(s)
            print(f"{peer} was {taken}", flush=True)
        worker.stdin.close()


def work(structures: BinaryIO) -> None:
    """Open each socket that comes, say so, and answer until its peer has said everything."""
    while structure := structures.read(SIZE):
        info = WSAPROTOCOL_INFO.unpack(structure)
        s = winsock.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info)
        print("taken", flush=True)
        while data := winsock.recv(s, 65536):
            winsock.send(s, data.upper())
        winsock.closesocket(s)


def main(arguments: list[str]) -> None:
    """Give, or work, as the process that was started for it."""
    if arguments == ["work"]:
        with winsock.started():
            work(sys.stdin.buffer)
        return
    usage = argparse.ArgumentParser(description="One socket in two processes.")
    usage.add_argument("connections", type=int, nargs="?", default=1, help="how many to accept before the end (1)")
    connections = usage.parse_args(arguments).connections
    with winsock.started():
        give(connections)


if __name__ == "__main__":
    main(sys.argv[1:])
