"""dial HOST PORT [wait]: a plain client; prints the end of the answer, or the error. `wait`: for a line, first."""

from __future__ import annotations

import errno
import socket
import sys


def main(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
        try:
            client.connect((host, port))
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        except OSError as error:
            print(errno.errorcode[error.errno or 0])
            return 1
        print(answer.rpartition(b"\r\n\r\n")[2].decode(), end="")
    return 0


if "wait" in sys.argv:
    print("ready", flush=True)
    sys.stdin.readline()
sys.exit(main(sys.argv[1], int(sys.argv[2])))
