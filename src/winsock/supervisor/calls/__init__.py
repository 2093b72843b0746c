"""From a system call to the SPI call it stands for: one row each, and the functions behind the rows by topic."""

from __future__ import annotations

from winsock.supervisor.calls import connecting, creating, listening, names, options
from winsock.supervisor.calls.call import Row

ROWS: dict[str, Row] = {
    "connect": Row("WSPConnect", on_socket=connecting.connect),
    "sendto": Row("WSPConnect", on_socket=connecting.sendto),
    "sendmsg": Row("WSPConnect", on_socket=connecting.sendmsg),
    "sendmmsg": Row("WSPConnect", on_socket=connecting.sendmmsg),
    "bind": Row("WSPBind", on_socket=listening.bind, asks_rights=True),
    "listen": Row("WSPListen", on_socket=listening.listen),
    "accept": Row("WSPAccept", on_socket=listening.accept),
    "accept4": Row("WSPAccept", on_socket=listening.accept),
    "shutdown": Row("WSPShutdown", on_socket=names.shutdown),
    "getpeername": Row("WSPGetPeerName", on_socket=names.getpeername),
    "getsockname": Row("WSPGetSockName", on_socket=names.getsockname),
    "getsockopt": Row("WSPGetSockOpt", on_socket=options.getsockopt),
    "setsockopt": Row("WSPSetSockOpt", on_socket=options.setsockopt, asks_rights=True),
    "socket": Row("WSPSocket", alone=creating.socket, asks_rights=True),
    "io_uring_setup": Row("", alone=creating.io_uring_setup),
}
