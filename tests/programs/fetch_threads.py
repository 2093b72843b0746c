"""fetch_threads HOST PORT COUNT: as many threads, which all connect at once; what each sends names it."""

from __future__ import annotations

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor


def main(host: str, port: int, count: int) -> None:
    together = threading.Barrier(count)

    def fetch(number: int) -> bytes:
        with socket.socket() as client:
            together.wait()
            client.connect((host, port))
            client.sendall(f"GET /{number} HTTP/1.1\r\n\r\n".encode())
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(4096), b""))

    with ThreadPoolExecutor(count) as pool:
        for answer in pool.map(fetch, range(count)):
            print(answer)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
