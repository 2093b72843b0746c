"""The program of the run's world: it connects and accepts as it is told, and hands the sockets to the test.

`argv[1]` is the number of a Unix socket. Each message on it is a JSON list, each answer another: an errno, or 0 with a
socket beside it; or the port on which it listens.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import sys

PATIENCE_S = 20.0
LOOPBACK = "127.0.0.1"
LONGEST = 4096


def connect(port: int, blocking: bool) -> socket.socket:
    """Connect, and wait in connect itself, or by select and SO_ERROR."""
    made = socket.socket()
    if blocking:
        made.connect((LOOPBACK, port))
        return made
    made.setblocking(False)
    number = made.connect_ex((LOOPBACK, port))
    if number == errno.EINPROGRESS:
        ready = select.select([], [made], [made], PATIENCE_S)[1]
        number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else errno.ETIMEDOUT
    if number:
        raise OSError(number, "the connect failed")
    made.setblocking(True)
    return made


def main(control: socket.socket) -> None:
    """Obey until nobody tells anything more."""
    listener = None
    while message := control.recv(LONGEST):
        word, *arguments = json.loads(message)
        if word == "listen":
            listener = socket.create_server((LOOPBACK, 0))
            control.send(json.dumps(listener.getsockname()[1]).encode())
            continue
        try:
            if word == "connect":
                made = connect(*arguments)
            else:
                assert listener is not None
                made = listener.accept()[0]
                listener.close()
        except OSError as error:
            control.send(json.dumps(error.errno).encode())
            continue
        with made:
            socket.send_fds(control, [b"0"], [made.fileno()])


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
