"""The relay's engine in a process of its own: every connection to LISTEN goes through one layer to a port.

python benchmarks/engine.py LAYER PORT      # LAYER: reading, counting or neither; prints the port that it took
"""

from __future__ import annotations

import socket
import sys
import time

from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.relay import Relay
from winsock.dispatcher.drivers.stage import Stage
from winsock.spi.stream import Direction, StreamLayer


class Reading(StreamLayer):
    """Sees every byte, and lets it pass."""

    def outgoing(self, data: bytes) -> bytes:
        return data

    def incoming(self, data: bytes) -> bytes:
        return data


class Counting(StreamLayer):
    """Only counts."""

    def __init__(self) -> None:
        self.counts = {"outgoing": 0, "incoming": 0}

    def passed(self, direction: Direction, count: int) -> None:
        self.counts[direction] += count


LAYERS = {"reading": Reading, "counting": Counting}


def main() -> None:
    layer, port = LAYERS[sys.argv[1]], int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        Relay(near.detach(), far.detach(), Pipeline([Stage(layer(), time.monotonic)]), lambda _: None).start()


if __name__ == "__main__":
    main()
