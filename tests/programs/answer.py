"""answer COUNT: a server that prints its port, takes COUNT connections, and tells each whom it sees."""

from __future__ import annotations

import socket
import sys

with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    for _ in range(int(sys.argv[1])):
        connection, peer = listener.accept()
        with connection:
            connection.sendall(f"hello {peer[1]}".encode())
            print("took", peer[1], flush=True)
