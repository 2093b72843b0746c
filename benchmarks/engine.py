"""The relay's engine in a process of its own: every connection to it goes through one layer to a port.

python benchmarks/engine.py LAYER PORT      # LAYER: reading or counting; prints the port that it listens on
"""

from __future__ import annotations

import socket
import sys
import time

from passing import Counting, Reading

from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.relay import Relay
from winsock.dispatcher.drivers.stage import Stage

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
