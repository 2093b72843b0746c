"""The two byte layers that relays are measured with."""

from winsock import StreamLayer


class Reading(StreamLayer):
    """Sees every byte, and lets it pass."""

    def outgoing(self, data: bytes) -> bytes:
        return data

    def incoming(self, data: bytes) -> bytes:
        return data


class Counting(StreamLayer):
    """Is told how many bytes passed."""

    count = 0

    def passed(self, direction: str, count: int) -> None:
        self.count += count
