"""The network events of one of our own sockets, from what the kernel tells.

A socket that was selected has a `Selection`: the record of its events, and the watch (an event object or a message
queue) to which its descriptor is attached. The kernel's edges come in by the thread that waits for the watch, and the
calls that re-enable events tell the selection what they did. A socket that was never selected pays nothing.

What the kernel tells is less than what Windows records. An edge does not say what is new, so the bytes that can be
read are counted: more of them than at the last look is more data. Room to send is looked for only after a send that
found none.

Sources: nf-winsock2-wsaeventselect; nc-ws2spi-lpwspasyncselect; nc-ws2spi-lpwspenumnetworkevents.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from winsock.abi.constants import (
    FD_ACCEPT,
    FD_CLOSE,
    FD_CONNECT,
    FD_OOB,
    FD_READ,
    FD_WRITE,
)
from winsock.abi.errors import WSAECONNRESET, code_of
from winsock.base.inet import icmp, own, urgent
from winsock.base.inet.own import OwnSocket
from winsock.base.inet.sockets import BROKEN, has_peer, has_peer_ended, was_not_reached
from winsock.core.netevents import NetworkEvents, Recorder
from winsock.overlapped.watches import FAILED, HUNG_UP, PEER_DONE, READABLE, URGENT, WRITABLE, Watch, lock

if TYPE_CHECKING:
    from winsock.base.inet.changes import Notice

_RECEIVES = ("recv_into", "recvmsg_into")


class Selection:
    """One socket whose events somebody asked for."""

    def __init__(self, record: OwnSocket) -> None:
        self._record = record
        self._recorder = Recorder()
        self._watch: Watch | None = None
        self._signal: Signal = nothing
        self._registration = 0
        """What stands in the page of a shared socket as long as nobody else has asked."""
        self._readable = 0
        """Bytes that could be read at the last look."""
        self._receives = 0
        """How many receives had been made of a shared socket by then."""
        self._urgent_receives = 0
        """The same of those that took urgent bytes."""
        self._mark: urgent.Mark | None = None
        """Where the urgent byte was at the last look, if nothing was received since."""
        self._wants_room = False
        record.holds_more = True
        for name in _RECEIVES:
            setattr(record, name, self._noticing(getattr(record, name)))

    @property
    def mask(self) -> int:
        """The events asked for."""
        return self._recorder.mask

    @property
    def handle(self) -> int:
        """The socket's."""
        return self._record.handle

    def select(self, watch: Watch, mask: int, signal: Signal) -> None:
        """Ask for these events, in place of what was asked for before."""
        with lock:
            if watch is not self._watch:
                self.end()
            self._watch, self._signal = watch, signal
            self._register(mask)
            self._note_connection()
            self._attach()
            self.watch_changes()
            if self._recorder.select(mask):
                signal(self)
            watch.look()

    def exchange(self, exchange: Callable[[], None]) -> None:
        """Put another file under the socket's number, and watch that."""
        with lock:
            if self._watch is not None:
                self._watch.detach(self._record.handle)
            exchange()
            if self._watch is not None:
                self._attach()

    def cancel(self) -> None:
        """Ask for nothing any more."""
        with lock:
            self._register(0)
            self.stop()

    def stop(self) -> None:
        """Tell nobody any more; what another descriptor of the socket was selected for goes on."""
        with lock:
            self._recorder.select(0)
            self.end()

    def inherit(self, record: OwnSocket) -> None:
        """A connection was accepted: it has the events of its listener."""
        inherited = record.selection = Selection(record)
        if self._watch is not None and not self._is_taken_over():
            inherited.select(self._watch, self._recorder.mask, self._signal)

    def take(self) -> NetworkEvents:
        """The events recorded, which leave the record."""
        if self._watch is not None and not self._recorder.signals:
            self._watch.look()
        with lock:
            if self._is_taken_over():
                self._give_up()
            return self.take_quietly()

    def take_quietly(self) -> NetworkEvents:
        """The same without another look."""
        with lock:
            return self._recorder.take()

    def end(self) -> None:
        """Watch the socket no more, which may be about to be closed."""
        with lock:
            if self._watch is not None:
                self._watch.detach(self._record.handle)
                for notice in self._notices():
                    self._watch.detach(notice.descriptor)
            self._watch, self._signal = None, nothing

    # What the provider's calls tell.

    def connecting(self) -> None:
        """A connect is on its way; what became of the last one is forgotten."""
        with lock:
            self._recorder.renew(FD_CONNECT)
            if self._watch is not None:
                self._attach()

    def settled(self, error: int) -> None:
        """It has ended, with a code or with 0."""
        if not error:
            self.connected()
            return
        with lock:
            self._recorder.happened(FD_CONNECT, error)
            self._tell()

    def connected(self) -> None:
        """A connect has succeeded at once."""
        with lock:
            self._note_connection()
            self._recorder.happened(FD_WRITE)
            self._tell()

    def found_no_room(self) -> None:
        """A send found the buffer full: tell when there is room again."""
        with lock:
            self._recorder.called("send")
            self._wants_room = True
            if self._watch is not None:
                self._attach()

    def watch_changes(self) -> None:
        """A change of addresses or routes shall be told of."""
        with lock:
            if self._watch is not None:
                for notice in self._notices():
                    self._watch.attach(notice.descriptor, READABLE, self._telling(notice))

    def _notices(self) -> list[Notice]:
        if not self._record.attachments:
            return []
        from winsock.base.inet import changes

        return changes.kept(self._record)

    def _telling(self, notice: Notice) -> Callable[[int], None]:
        def has_changed(events: int) -> None:
            with lock:
                if self._watch is not None:
                    self._watch.detach(notice.descriptor)
                self._record.drop(notice)  # it is told once; the application asks anew
                notice.end()
                self._recorder.happened(notice.event, code_of(-events) if events < 0 else 0)
                self._tell()

        return has_changed

    def accepted(self) -> None:
        """An accept was made: tell of the next connection that waits."""
        self._called("accept")
        if self._record.deferred:  # not by its condition function, which failed
            with lock:
                self._recorder.happened(FD_ACCEPT)
                self._tell()

    def _called(self, kind: str) -> None:
        with lock:
            self._recorder.called(kind)
            self._readable = 0
            self._mark = None
            if self._watch is not None:
                self._attach()  # what still holds is an edge once more
                self._watch.look()

    def _noticing(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        """The socket's receive, after which the data that is left counts as new."""

        def slot(*args: Any) -> Any:
            try:
                return receive(*args)
            except OSError as error:
                was_not_reached(self._record, error.errno or 0)
                raise
            finally:
                self._received()

        return slot

    def refused_receive(self) -> None:
        """It is none, and yet messages are posted again after it; event objects are not signalled."""
        from winsock.overlapped.messages import MessageQueue

        if isinstance(self._watch, MessageQueue):
            self._received()

    def _received(self) -> None:
        """What is left of a stream can be counted; of datagrams only the kernel can tell whether there are any."""
        if not self._record.stream or self._recorder.mask & FD_OOB:
            self._called("receive")
            return
        with lock:
            self._recorder.called("receive")
            self._mark = None
            self._note_receives()
            self._readable = self._bytes_to_read()
            if self._readable:
                self._recorder.happened(FD_READ)
                self._tell()

    # What the kernel tells.

    def _attach(self) -> None:
        """Watch the descriptor for what can be news."""
        assert self._watch is not None
        interest = READABLE | URGENT | PEER_DONE
        if self._wants_room or self._record.phase == own.CONNECTING:
            interest |= WRITABLE
        self._watch.attach(self._record.handle, interest, self._kernel_says)

    def _kernel_says(self, events: int) -> None:
        with lock:
            if events < 0:
                self._recorder.failed(code_of(-events))
            elif self._record.phase == own.CONNECTING:
                self._look_at_connect(events)
            elif self._record.phase == own.LISTENING:
                if events & READABLE and not self._record.deferred:
                    self._recorder.happened(FD_ACCEPT)
            elif self._record.phase == own.CONNECTED or not self._record.stream:
                self._look_at_data(events)
            self._tell()

    def _look_at_connect(self, events: int) -> None:
        if not events & (WRITABLE | FAILED | HUNG_UP):
            return
        if self._record.fails_on_icmp and icmp.has_failed(self._record):
            return
        try:
            error = self._record.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as problem:
            error = problem.errno or errno.EIO
        if not error and not has_peer(self._record):
            error = errno.ETIMEDOUT  # of all else whoever asked for it before has told `settle`
        if error:
            self._record.error = code_of(error)  # the application may still ask for it
        self._record.settle(code_of(error) if error and error not in BROKEN else 0)
        if self._record.phase == own.FAILED:
            return
        if events & ~WRITABLE:
            self._look_at_data(events)

    def _look_at_data(self, events: int) -> None:
        if events & FAILED and not self._record.stream:
            from winsock.base.inet import unreached

            if unreached.has_news(self._record):
                self._recorder.happened(FD_READ)
        if events & READABLE:
            self._look_for_bytes()
        if events & URGENT and not self._record.oob_inline:
            self._look_for_mark()
        if events & WRITABLE and self._wants_room:
            self._wants_room = False
            self._recorder.happened(FD_WRITE)
        if self._record.stream and events & (PEER_DONE | HUNG_UP | FAILED) and has_peer_ended(self._record):
            is_reset = events & FAILED or self._record.broken_by  # a failure that was asked for is no edge any more
            self._recorder.happened(FD_CLOSE, WSAECONNRESET if is_reset else 0)

    def _look_for_mark(self) -> None:
        if self._note_urgent_receives():
            self._recorder.renew(FD_OOB)
            self._mark = None
        before, self._mark = self._mark, urgent.mark(self._record.handle)
        if before is not None and self._mark.is_behind(before):
            self._recorder.happened(FD_OOB)
        self._recorder.holds(FD_OOB)

    def _look_for_bytes(self) -> None:
        if not self._record.stream:
            self._recorder.happened(FD_READ)  # nothing but a datagram makes this edge
            return
        if self._note_receives():
            self._readable = 0
        readable = self._bytes_to_read()
        if readable > self._readable:
            self._recorder.happened(FD_READ)
        self._readable = readable

    def _bytes_to_read(self) -> int:
        try:
            return urgent.bytes_to_read(self._record.handle)
        except OSError:  # closed meanwhile
            return 0

    def _note_connection(self) -> None:
        """FD_CONNECT for who connected, or failed to, FD_WRITE for every connection; both once."""
        if self._record.phase == own.FAILED and self._record.late_failure:
            self._recorder.holds(FD_CONNECT, self._record.late_failure)
        if self._record.phase == own.CONNECTED:
            if not self._record.was_accepted:
                self._recorder.holds(FD_CONNECT)
            self._recorder.holds(FD_WRITE)

    def _tell(self) -> None:
        if self._is_taken_over():
            self._give_up()
        elif self._recorder.signals:
            self._signal(self)

    # Other descriptors of the same socket.

    def _register(self, mask: int) -> None:
        """This is the one registration that counts."""
        if self._record.shared is not None:
            self._registration = self._record.shared.register(mask)

    def _note_receives(self) -> bool:
        """Whether somebody has received since the last look, so that what is there has come after that."""
        if self._record.shared is None:
            return False
        before, self._receives = self._receives, self._record.shared.page.receives
        return before != self._receives

    def _note_urgent_receives(self) -> bool:
        """Whether somebody has taken an urgent byte since the last look, or is about to, which is asked again."""
        if self._record.shared is None:
            return False
        before = self._urgent_receives
        now: int = self._record.shared.page.urgent_receives
        self._urgent_receives = now - (now & 1)
        return before != now

    def _is_taken_over(self) -> bool:
        """Whether somebody has asked for events since, or for none, through another descriptor."""
        shared = self._record.shared
        return shared is not None and shared.page.registration != self._registration

    def _give_up(self) -> None:
        """The events are somebody else's."""
        self._recorder = Recorder()
        self.end()


def nothing(selection: Selection) -> None:
    """Nobody asked."""


Signal: TypeAlias = Callable[[Selection], None]
"""Sets the event object, or posts the messages."""
