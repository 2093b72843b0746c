"""The stream layers of one connection above each other: bytes in at both ends, bytes out at both ends, no I/O.

`outgoing` takes what the application sent; it goes through the stages from the uppermost to the lowest and comes out
in `to_network`. `incoming` goes the other way. A layer may also send against the stream, so what a stage gave waits in
a list of work until the stage has returned: no layer is entered while it is being entered.

The lowest stage is opened first, because those above speak through it. A stage that is not ready yet is given what
the network brings, and nothing from above: that waits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from winsock.dispatcher.drivers.stage import END, Item, Stage

if TYPE_CHECKING:
    from winsock.abi.errors import WinsockError
    from winsock.spi.stats import Stats
    from winsock.spi.stream import Direction

_DOWN, _UP = 1, -1


class Pipeline:
    """The stages of one connection, the uppermost first. One thread at a time."""

    def __init__(self, stages: Sequence[Stage], clock: Callable[[], float] = time.monotonic) -> None:
        self.stages = list(stages)
        self._clock = clock
        self._work: deque[tuple[int, int, Item]] = deque()
        self._early: list[tuple[int, int, Item]] = []
        self._unopened = len(self.stages)
        """How many stages, from the top, were not opened yet."""
        self.is_open = False
        """Whether `open` was called."""
        self.ready = False
        """Whether every layer is ready: the application's connect is complete."""
        self.to_network: deque[bytes] = deque()
        self.to_application: deque[bytes] = deque()
        self.outgoing_over = False
        """Whether the end of the outgoing stream came out at the bottom: after `to_network` comes nothing more."""
        self.incoming_over = False
        self.reads = any(stage.reads for stage in self.stages)
        """Whether a layer sees the bytes; else they need not come here: see `passed`."""
        self.error: WinsockError | None = None
        """Why the connection failed, if it did."""

    @property
    def deadline(self) -> float | None:
        """When `tick` is wanted next."""
        return min((stage.wake for stage in self.stages if stage.wake is not None), default=None)

    def now(self) -> float:
        """Seconds of this pipeline's clock."""
        return self._clock()

    def open(self) -> None:
        """The connection is there."""
        self.is_open = True
        self._open_ready()
        self._run()

    def outgoing(self, item: Item) -> None:
        """The application sent this."""
        if self.ready and item is not END:
            piece = self._straight("outgoing", item, self.stages)
            if piece is not None and not self.outgoing_over:
                self.to_network.append(piece)
            return
        self._work.append((0, _DOWN, item))
        self._run()

    def incoming(self, item: Item) -> None:
        """The network brought this."""
        if self.ready and item is not END:
            piece = self._straight("incoming", item, reversed(self.stages))
            if piece is not None and not self.incoming_over:
                self.to_application.append(piece)
            return
        self._work.append((len(self.stages) - 1, _UP, item))
        self._run()

    def passed(self, direction: Direction, count: int) -> None:
        """So many bytes went by without coming here, which only `reads` forbids."""
        for stage in self.stages:
            if stage.counts:
                stage.passed(direction, count)
        self._settle()

    def tick(self) -> None:
        """Call the timers that are due."""
        if self.deadline is None:
            return
        now = self._clock()
        for stage in self.stages:
            stage.tick(now)
        self._settle()

    def closed(self, stats: Stats) -> None:
        """The connection is over. Told to those that knew that there was one."""
        for stage in self.stages:
            if stage.is_open:
                stage.closed(stats)

    def _straight(self, direction: Direction, piece: bytes, stages: Iterable[Stage]) -> bytes | None:
        """Through all layers, as long as one piece comes of one piece; None where that was not so, and is settled."""
        for stage in stages:
            further = stage.through(direction, piece)
            if further is None:
                self._settle()
                return None
            piece = further
        return piece

    def _settle(self) -> None:
        for index in range(len(self.stages)):
            self._collect(index)
        if not self.ready:
            self._open_ready()
        self._run()

    def _run(self) -> None:
        """Until nothing flows any more."""
        while self._work:
            index, way, item = self._work.popleft()
            if index < 0 or index == len(self.stages):
                self._come_out(way, item)
            elif not (self.stages[index].is_ready or (way == _UP and self.stages[index].is_open)):
                self._early.append((index, way, item))
            else:
                stage = self.stages[index]
                (stage.outgoing if way == _DOWN else stage.incoming)(item)
                self._collect(index)
            if not self.ready:
                self._open_ready()

    def _come_out(self, way: int, item: Item) -> None:
        if way == _DOWN:
            if item is END:
                self.outgoing_over = True
            elif not self.outgoing_over:
                self.to_network.append(item)
        elif item is END:
            self.incoming_over = True
        elif not self.incoming_over:
            self.to_application.append(item)

    def _collect(self, index: int) -> None:
        """What a stage gave, on its way; nothing more of one that failed."""
        stage = self.stages[index]
        if stage.error is not None:
            self.error = self.error or stage.error
            stage.to_network.clear()
            stage.to_application.clear()
            return
        while stage.to_network:
            self._work.append((index + 1, _DOWN, stage.to_network.popleft()))
        while stage.to_application:
            self._work.append((index - 1, _UP, stage.to_application.popleft()))

    def _open_ready(self) -> None:
        """Open the stages above those that are ready."""
        while self._unopened and (self._unopened == len(self.stages) or self.stages[self._unopened].is_ready):
            self._unopened -= 1
            self.stages[self._unopened].open()
            self._collect(self._unopened)
            self._let_in()
        self.ready = not self._unopened and all(stage.is_ready for stage in self.stages)
        if self.ready:
            self._let_in()

    def _let_in(self) -> None:
        """What waited has its turn; it came before what is on its way."""
        self._work.extendleft(reversed(self._early))
        self._early.clear()
