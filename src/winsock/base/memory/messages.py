"""Connected messages (SOCK_SEQPACKET): what was sent as one is received as one, or in marked parts.

A message goes over the connection's stream in pieces, one for each send, each with its length and whether the message
ends with it. The head of the queue is taken apart here, no more than a receive buffer's worth at a time, so that a
message of any length passes, and a receiver who does not receive still stops the sender.

Requests wait for the application's word, and carry data both ways, as does the end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import FD_READ, MSG_PARTIAL, MSG_PEEK
from winsock.abi.errors import WSAEDISCON, WSAEMSGSIZE, WinsockError
from winsock.base.memory.channel import Channel
from winsock.base.memory.ports import InetAddress
from winsock.base.memory.sockets import capacity_of, check_receive_flags, check_send_flags, scatter
from winsock.base.memory.streams import StreamSocket
from winsock.core.states import CONNECTED
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.provider import Memory

_HEAD = struct.Struct("<I")
_LAST = 1 << 31
"""The bit of a piece's length that says: the message ends here."""


def framed(data: bytes, is_last: bool = True) -> bytes:
    """A piece of a message as the stream carries it."""
    return _HEAD.pack(len(data) | (_LAST if is_last else 0)) + data


class Assembly:
    """The message at the head of a stream, as far as it is here."""

    __slots__ = ("_is_last", "_left", "data", "is_complete")

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_complete = False
        self._left = 0
        """Bytes of the piece that have not come yet."""
        self._is_last = False
        """The message ends with this piece."""

    def pull(self, channel: Channel, most: int) -> None:
        """Take from the stream until the message is complete, or so much of it is here."""
        while not self.is_complete:
            if self._left == 0 and not self._next_piece(channel):
                return
            if self._left:
                part = channel.read(min(self._left, max(0, most - len(self.data))))
                if not part:
                    return
                self.data += part
                self._left -= len(part)
            self.is_complete = self._is_last and self._left == 0

    def _next_piece(self, channel: Channel) -> bool:
        if channel.readable < _HEAD.size:
            return False
        (head,) = _HEAD.unpack(channel.read(_HEAD.size))
        self._left, self._is_last = head & ~_LAST, bool(head & _LAST)
        return True

    def take(self, count: int) -> bytes:
        """So many bytes of it; a message that is taken whole makes room for the next."""
        data = bytes(self.data[:count])
        del self.data[:count]
        if self.is_complete and not self.data:
            self.is_complete = self._is_last = False
        return data


class MessageSocket(StreamSocket):
    """A socket of connected messages."""

    conditional = True
    carries_data = True

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        super().__init__(provider, host, flags)
        self._head = Assembly()

    @property
    def readable_bytes(self) -> int:
        if self.state != CONNECTED:
            return 0
        self._pull()
        return len(self._head.data) + self.channel.readable

    def has_data(self) -> bool:
        self._pull()
        return self._has_message(self.receive_room)

    def is_readable(self) -> bool:
        if self.state != CONNECTED:
            return super().is_readable()
        return self.has_data() or self._is_at_end()

    def _has_message(self, capacity: int) -> bool:
        return self._head.is_complete or 0 < capacity <= len(self._head.data)

    def _pull(self, most: int = 0) -> None:
        if self.state == CONNECTED:
            self._head.pull(self.channel, max(most, self.receive_room))
            self.connection_now.flush()

    def _look(self, channel: Channel) -> None:
        before = self._has_message(self.receive_room)
        self._pull()
        if self._has_message(self.receive_room) and (not before or channel.arrived > self._arrived):
            self.happened(FD_READ)
        self._arrived = channel.arrived
        super()._look(channel)

    # Sending.

    def send(self, data: bytes, flags: int, to: InetAddress | None) -> int:
        """Send a message, or a part of one (MSG_PARTIAL); whole, or not at all. WSAEMSGSIZE."""
        check_send_flags(flags, self.protocol.name, partial=True)
        self.check_sending()
        self.called("send")
        most = self.protocol.message_size
        if len(data) > most:
            raise WinsockError(WSAEMSGSIZE, f"buffers: {len(data)} bytes are more than the {most} of a message")
        self._write_whole(framed(data, is_last=not flags & MSG_PARTIAL))
        return len(data)

    def _write_whole(self, piece: bytes) -> None:
        """At once, when there is room for all of it; what is longer than the buffer waits until that is empty."""
        self.wait_for_room(min(len(piece), self.send_room))
        self.channel.put(self.network.clock.time, piece)
        self.connection_now.flush()

    # Receiving.

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, InetAddress | None]:
        """A message; where it is longer than the buffers, a part of it with MSG_PARTIAL, and the rest the next time.

        With MSG_PARTIAL any part will do. Raises what a stream does, and WSAEDISCON after the peer's end.
        """
        check_receive_flags(flags, self.protocol.name, waits_for_all=False)
        self.check_receiving()
        capacity = capacity_of(buffers)
        try:
            data, is_whole = self._take_message(capacity, flags)
        finally:
            self.called("receive")
        scatter(data, buffers)
        return len(data), 0 if is_whole else MSG_PARTIAL, None

    def _take_message(self, capacity: int, flags: int) -> tuple[bytes, bool]:
        self._wait_for_message(capacity, bool(flags & MSG_PARTIAL))
        head = self._head
        is_whole = head.is_complete and len(head.data) <= capacity
        if flags & MSG_PEEK:
            return bytes(head.data[:capacity]), is_whole
        data = head.take(capacity)
        self._pull()
        return data, is_whole

    def _wait_for_message(self, capacity: int, partly: bool) -> None:
        def is_here() -> bool:
            self._pull(capacity)
            return self._has_message(capacity) or (partly and bool(self._head.data))

        self.wait(
            lambda: self.state != CONNECTED or is_here() or self._is_at_end(), self.receive_timeout_ms, "a message"
        )
        self.check_receiving()
        if not is_here() and not self._head.data:
            raise WinsockError(WSAEDISCON, f"s: {self.peer} has ended the connection")
