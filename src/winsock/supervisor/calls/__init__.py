"""From a system call to the SPI call it stands for: one row each, and the functions behind the rows by topic."""

from __future__ import annotations

from winsock.supervisor.calls import connecting, creating, listening, names, options
from winsock.supervisor.calls.call import Row

ROWS: tuple[Row, ...] = (
    Row("connect", "WSPConnect", on_socket=connecting.connect, before=connecting.check_name),
    Row("sendto", "WSPConnect", on_socket=connecting.sendto),
    Row("sendmsg", "WSPConnect", on_socket=connecting.sendmsg),
    Row("sendmmsg", "WSPConnect", on_socket=connecting.sendmmsg),
    Row("bind", "WSPBind", on_socket=listening.bind),
    Row("listen", "WSPListen", on_socket=listening.listen),
    Row("accept", "WSPAccept", on_socket=listening.accept),
    Row("accept4", "WSPAccept", on_socket=listening.accept, before=listening.check_flags),
    Row("shutdown", "WSPShutdown", on_socket=names.shutdown),
    Row("getpeername", "WSPGetPeerName", on_socket=names.getpeername),
    Row("getsockname", "WSPGetSockName", on_socket=names.getsockname),
    Row("getsockopt", "WSPGetSockOpt", on_socket=options.getsockopt),
    Row("setsockopt", "WSPSetSockOpt", on_socket=options.setsockopt),
    Row("socket", "WSPSocket", alone=creating.socket),
    Row("io_uring_setup", "", alone=creating.io_uring_setup),
)
