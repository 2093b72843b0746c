"""A layer in ten lines: `winsock run --layer examples/shout.py -- nc host 25`."""

from winsock import StreamLayer


class Shout(StreamLayer):
    """Upper-case everything a program sends."""

    name = "shout"

    def outgoing(self, data: bytes) -> bytes:
        return data.upper()
