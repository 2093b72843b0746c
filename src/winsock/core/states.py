"""A socket's life as a table: what each call makes of each state, or the error that it answers.

`.` is "stays as it is". What the tables do not tell: a direction that was shut down (`HALVES`), and the error by which
a connection broke, which is the connection's own.

Sources: the pages of the functions, nc-ws2spi-lpwspbind and its siblings; where they are silent, what Windows was seen
to do.
"""

from __future__ import annotations

from winsock.abi import errors
from winsock.abi.constants import SD_BOTH, SD_RECEIVE, SD_SEND
from winsock.abi.errors import WinsockError

NEW, BOUND, LISTENING = "new", "bound", "listening"
CONNECTING, REFUSED, CONNECTED, BROKEN = "connecting", "refused", "connected", "broken"

_STREAMS = """
            bind        listen     connect     accept      send       receive    shutdown   peer      name
new         bound       EINVAL     connecting  EINVAL      ENOTCONN   EINVAL     ENOTCONN   ENOTCONN  EINVAL
bound       EINVAL      listening  connecting  EINVAL      ENOTCONN   ENOTCONN   ENOTCONN   ENOTCONN  .
listening   EINVAL      .          EINVAL      .           ENOTCONN   ENOTCONN   ENOTCONN   ENOTCONN  .
connecting  EINVAL      EINVAL     EALREADY    EINVAL      ENOTCONN   ENOTCONN   ENOTCONN   ENOTCONN  .
refused     EINVAL      listening  connecting  EINVAL      ENOTCONN   ENOTCONN   ENOTCONN   ENOTCONN  .
connected   EINVAL      EISCONN    EISCONN     EINVAL      .          .          .          .         .
broken      EINVAL      EISCONN    EISCONN     EINVAL      .          .          ENOTCONN   ENOTCONN  .
"""

_DATAGRAMS = """
            bind        listen     connect     accept      send       receive    shutdown   peer      name
new         bound       EOPNOTSUPP connected   EOPNOTSUPP  ENOTCONN   EINVAL     ENOTCONN   ENOTCONN  EINVAL
bound       EINVAL      EOPNOTSUPP connected   EOPNOTSUPP  ENOTCONN   .          ENOTCONN   ENOTCONN  .
connected   EINVAL      EOPNOTSUPP connected   EOPNOTSUPP  .          .          .          .         .
"""

HALVES: dict[int, tuple[str, ...]] = {
    SD_RECEIVE: ("receive",),
    SD_SEND: ("send",),
    SD_BOTH: ("receive", "send"),
}
"""How a shutdown was asked for -> the calls that answer WSAESHUTDOWN from then on."""


class Life:
    """One table, read once."""

    __slots__ = ("_rows",)

    def __init__(self, table: str) -> None:
        heading, *lines = (line.split() for line in table.strip().splitlines())
        self._rows: dict[tuple[str, str], str | int] = {}
        for state, *cells in lines:
            for call, cell in zip(heading, cells, strict=True):
                self._rows[state, call] = _read(cell, state)

    def after(self, state: str, call: str) -> str:
        """The state that follows; raises the `WinsockError` of a call that the state does not allow."""
        outcome = self._rows[state, call]
        if isinstance(outcome, str):
            return outcome
        raise WinsockError(outcome, f"s: the socket is {state}, which does not go with {_WORDS.get(call, call)}")


_WORDS = {"peer": "the name of a peer", "name": "a name of its own"}


def _read(cell: str, state: str) -> str | int:
    if cell == ".":
        return state
    return getattr(errors, f"WSA{cell}") if cell.isupper() else cell


STREAMS = Life(_STREAMS)
"""Sockets that connect, of streams and of messages."""
DATAGRAMS = Life(_DATAGRAMS)
"""Sockets that choose a peer."""
