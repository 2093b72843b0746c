"""One direction of a relayed connection: bytes from a source, through the pipeline, to a sink.

Where no layer sees the bytes they go by splice, and the pipeline is told how many passed; else they are read. Reading
makes new bytes each time, because a layer may keep them: of what is small a copy, out of a buffer that is used again;
where much comes the kernel is asked how much there is. (To ask for more than comes, and let the rest of the memory go,
leaves holes that the C library never fills: a megabyte in a thousand connections.) What is there is moved at once, and
only what the sink does not take waits for poll().

Back-pressure: the source is read when the sink has taken everything, and while what this direction brought about
against the stream is not too much. So little is held here, and a sender is slowed by its own receiver.

Urgent data: both sockets keep the urgent byte in its place (SO_OOBINLINE), so it can never be lost; a read stops before
it. It goes through the layers by itself, and what came of it is urgent again if it is one byte.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from socket import MSG_OOB, SHUT_WR, socket
from typing import TYPE_CHECKING

from winsock.dispatcher.drivers.pipes import SIZE, Pipe, Pipes
from winsock.dispatcher.drivers.stage import END
from winsock.host.queues import AT_MARK, UNREAD, ask_or_0

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.pipeline import Pipeline
    from winsock.spi.stream import Direction

SMALL = 64 * 1024
"""The size of the buffer."""
PIECE = 256 * 1024
"""The most that is read at once."""
BURST = 16
"""How many pieces one direction moves before the other has its turn."""
GATHERED = 64
"""How many small pieces go out at once."""
MOST = 256 * 1024
"""How much may wait for an end because of what that same end sent."""

PIPES = Pipes()


class Broken(Exception):
    """An end is dead: it was reset, or its network is gone."""

    def __init__(self, end: socket, error: OSError) -> None:
        super().__init__(str(error))
        self.end = end
        self.error = error


class Lane:
    """From `source` through the pipeline to `sink`; both sockets never wait."""

    opposite: Lane

    def __init__(
        self, direction: Direction, source: socket, sink: socket, pipeline: Pipeline, buffer: memoryview
    ) -> None:
        self.direction = direction
        self.source = source
        self.sink = sink
        self._pipeline = pipeline
        outgoing = direction == "outgoing"
        self._enter = pipeline.outgoing if outgoing else pipeline.incoming
        self._queue: deque[bytes] = pipeline.to_network if outgoing else pipeline.to_application
        self._rest: memoryview | None = None
        """What is left of a piece that the sink took in part."""
        self._flags = 0
        """What it is sent with."""
        self._pipe: Pipe | None = None
        """Holds what was taken by splice and not given yet; goes before everything else."""
        self._buffer = buffer
        self._flows = False
        """Whether the last piece was large."""
        self._reflected = 0
        """How many bytes went back because of what was read here, since last nothing waited there."""
        self.blocked = False
        """Whether the sink takes nothing before it is writable."""
        self.over = False
        """Whether the source's end was read."""
        self.shut = False
        """Whether the sink was told of the end."""
        self.discards = False
        """Whether nobody is there any more at the sink's other side. Another thread may say so."""
        self.taken = 0
        """Bytes from the source."""
        self.given = 0
        """Bytes to the sink."""

    @property
    def pending(self) -> bool:
        """Whether something waits for the sink."""
        return bool(self._queue) or self._rest is not None or self._pipe is not None

    @property
    def waiting(self) -> int:
        """How many bytes wait for the sink."""
        filled = 0 if self._pipe is None else self._pipe.filled
        return filled + (0 if self._rest is None else len(self._rest)) + sum(map(len, self._queue))

    @property
    def wants(self) -> bool:
        """Whether the source is to be read; the application's not before every layer is ready."""
        if self.over or self._queue or self._rest is not None or self._pipe is not None:
            return False
        if not self._pipeline.ready and self.direction == "outgoing":
            return False
        if self._reflected and not self.opposite.pending:
            self._reflected = 0
        return self._reflected <= MOST

    def move(self) -> bool:
        """Take what the source has, and give it to the sink as far as both go along; whether there was anything."""
        pipeline = self._pipeline
        if not pipeline.reads and pipeline.ready and not self.discards:
            pipe = PIPES.take()
            if pipe is not None:
                self._pipe = pipe
                return self._splice(pipe)
        return self._read()

    def move_urgent(self) -> bool:
        """As `move`, where the source has urgent data ahead."""
        return self._take_urgent() or self.move()

    def move_last(self) -> None:
        """Take a piece of what a dead source sent before; its end is no orderly one."""
        try:
            data = bytes(self._buffer[: self.source.recv_into(self._buffer)])
        except OSError:
            data = b""
        if data:
            self._take(data)
            self.flush()
        else:
            self.over = True

    def flush(self) -> None:
        """Give the sink what it takes."""
        queue = self._queue
        if self.discards:
            self.drop()
        if self._pipe is not None:
            self._empty(self._pipe)
            if not self._pipe.filled:
                self.close()
        if self._rest is not None and not self.blocked:
            self._give(self._rest)
        while queue and not self.blocked:
            if len(queue) == 1:
                self._give(queue.popleft())
            else:
                self._give_several()

    def end(self) -> None:
        """Tell the sink that nothing more comes."""
        try:
            self.sink.shutdown(SHUT_WR)
        except OSError as error:
            raise Broken(self.sink, error) from None
        self.shut = True

    def drop(self) -> None:
        """Nobody is there any more who could be given anything: what comes goes through the layers to nowhere."""
        self.close()
        self._queue.clear()
        self._rest = None
        self.blocked = False
        self.shut = True

    def close(self) -> None:
        """Give back what was lent."""
        if self._pipe is not None:
            PIPES.give_back(self._pipe)
            self._pipe = None

    # Bytes that layers see.

    def _read(self) -> bool:
        """A burst of pieces of what was there when poll() told; it tells of urgent data that comes meanwhile, too."""
        queue = self._queue
        left = ask_or_0(self.source, UNREAD) if self._flows else 0
        for _ in range(BURST):
            most = min(left, PIECE) if left > SMALL else SMALL
            data = self._receive(most)
            if not data:
                return data is not None and self._take_end()
            size = len(data)
            self._take(data)
            del data  # so that the next piece lies in the same memory, which is still in the processor's cache
            if len(queue) == 1 and not self.discards:
                self._give(queue.popleft())
            else:
                self.flush()
            left -= size
            self._flows = size >= SMALL
            if size < most or left <= 0 or self.blocked or self._reflected > MOST or self._pipeline.error is not None:
                break
        return True

    def _receive(self, most: int) -> bytes | None:
        """What the source has, nothing at its end; None where it has nothing yet."""
        try:
            if most > SMALL:
                return self.source.recv(most)
            return bytes(self._buffer[: self.source.recv_into(self._buffer, most)])
        except BlockingIOError:
            return None
        except OSError as error:
            raise Broken(self.source, error) from None

    def _take(self, data: bytes) -> None:
        self.taken += len(data)
        back = self.opposite._queue
        before = len(back)
        self._enter(data)
        if len(back) > before:
            self._reflected += sum(map(len, islice(back, before, None)))

    def _take_end(self) -> bool:
        self.over = True
        self._enter(END)
        self.flush()
        return True

    def _take_urgent(self) -> bool:
        """The next byte, if it is urgent, by itself."""
        data = self._receive(1) if ask_or_0(self.source, AT_MARK) else None
        if not data:
            return False
        self._take(data)
        if len(self._queue) == 1 and len(self._queue[0]) == 1:
            self._rest, self._flags = memoryview(self._queue.popleft()), MSG_OOB
        self.flush()
        return True

    def _give(self, piece: bytes | memoryview) -> None:
        """Send one piece, and remember what is left of it."""
        try:
            sent = self.sink.send(piece, self._flags)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Broken(self.sink, error) from None
        self.given += sent
        if sent == len(piece):
            self._rest, self._flags = None, 0
        else:
            self._rest, self.blocked = memoryview(piece)[sent:], True

    def _give_several(self) -> None:
        try:
            sent = self.sink.sendmsg(islice(self._queue, GATHERED))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Broken(self.sink, error) from None
        self.given += sent
        count = min(len(self._queue), GATHERED)
        while count and sent >= len(self._queue[0]):
            sent -= len(self._queue.popleft())
            count -= 1
        if count:
            self.blocked = True
            if sent:
                self._rest = memoryview(self._queue.popleft())[sent:]

    # Bytes that only pass.

    def _splice(self, pipe: Pipe) -> bool:
        """By a pipe, which is ours only while something is in it."""
        before, count = self.taken, None
        try:
            for _ in range(BURST):
                count = self._fill(pipe)
                if not count:
                    break
                self._empty(pipe)
                if self.blocked or count < SMALL:
                    break
        finally:
            if not pipe.filled:
                self.close()
            if self.taken > before:
                self._pipeline.passed(self.direction, self.taken - before)
        if count == 0:  # the end, or urgent data, which does not go by splice
            return self._take_urgent() or self._read()
        return self.taken > before

    def _fill(self, pipe: Pipe) -> int | None:
        """How much the source had; None where it has nothing yet."""
        try:
            count = os.splice(self.source.fileno(), pipe.writing, SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Broken(self.source, error) from None
        self.taken += count
        pipe.filled = count
        return count

    def _empty(self, pipe: Pipe) -> None:
        # Never ask for more than there is: the kernel would hold the last bytes back, to send them with what follows.
        while pipe.filled and not self.blocked:
            try:
                sent = os.splice(pipe.reading, self.sink.fileno(), pipe.filled)
            except BlockingIOError:
                self.blocked = True
                return
            except OSError as error:
                raise Broken(self.sink, error) from None
            self.given += sent
            pipe.filled -= sent
