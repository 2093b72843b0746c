"""Names, options, flags, and what a call says to a socket that it does not fit."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import termios
from pathlib import Path

from tests.programs.edges.words import LOCAL, all_of, case, events_of, in_thread, listener, pair, say, send_pieces, told


@case
def names_of_both_ends() -> None:
    for host in (LOCAL, "::1"):
        with listener(host) as waiting:
            client = socket.socket(waiting.family)
            client.bind((host, 0))
            bound = client.getsockname()
            client.connect(waiting.getsockname())
            accepted, peer = waiting.accept()
            say(client.getsockname() == bound == peer == accepted.getpeername())
            say(client.getpeername() == waiting.getsockname() == accepted.getsockname())
            client.shutdown(socket.SHUT_WR)
            say(client.getpeername() == accepted.getsockname(), all_of(accepted))


@case
def ipv4_within_ipv6() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as waiting:
        port = waiting.getsockname()[1]
        for host in (LOCAL, "::ffff:127.0.0.1", "::1"):
            client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            client.connect((host, port))
            accepted, peer = waiting.accept()
            say(host, peer[0], accepted.getpeername() == peer, client.getpeername()[:1], accepted.getsockname()[:1])
            say(peer[1] == client.getsockname()[1], client.getsockname()[:1])
            client.sendall(host.encode())
            client.shutdown(socket.SHUT_WR)
            say(all_of(accepted))


@case
def options_before_and_after() -> None:
    rows = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 12345),
        (socket.IPPROTO_IP, socket.IP_TOS, 16),
        (socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000),
        (socket.SOL_SOCKET, socket.SO_SNDBUF, 60_000),
        (socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),
    ]
    with listener() as waiting:
        before, after = socket.socket(), socket.socket()
        for row in rows:
            before.setsockopt(*row)
        for client in (before, after):
            client.connect(waiting.getsockname())
        for row in rows:
            after.setsockopt(*row)
        say([[client.getsockopt(*row[:2]) for row in rows] for client in (before, after)])
        say([client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) for client in (before, after)])
        say([client.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for client in (before, waiting)])
        accepted = [waiting.accept()[0] for _ in range(2)]
        say([end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for end in accepted])


@case
def flags_of_reading() -> None:
    client, accepted = pair()
    accepted.sendall(b"abcdef")
    say(client.recv(3, socket.MSG_PEEK), client.recv(6, socket.MSG_WAITALL))
    thread = in_thread(send_pieces, accepted, b"gh", b"ij")
    say(client.recv(4, socket.MSG_WAITALL))
    thread.join()
    accepted.sendall(b"12345")
    events_of(client, select.POLLIN)
    say(struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0] > 0)
    say(client.recv_into(bytearray(5), 5, socket.MSG_WAITALL))
    accepted.sendmsg([b"one ", b"two ", b"three"])
    buffers = [bytearray(4), bytearray(9)]
    say(client.recvmsg_into(buffers, 0, socket.MSG_WAITALL)[0], buffers)


@case
def other_ways_to_write_and_to_read() -> None:
    client, accepted = pair()
    with open(__file__, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        thread = in_thread(lambda: os.sendfile(client.fileno(), source.fileno(), 0, size))
        say(accepted.recv(size, socket.MSG_WAITALL) == Path(__file__).read_bytes())
        thread.join()
    say(os.write(client.fileno(), b"write"), os.writev(client.fileno(), [b" and ", b"writev"]))
    say(accepted.recv(16, socket.MSG_WAITALL))
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    say(os.splice(reading, client.fileno(), 14), accepted.recv(14, socket.MSG_WAITALL))
    accepted.sendall(b"and back")
    events_of(client, select.POLLIN)
    say(os.splice(client.fileno(), writing, 8), os.read(reading, 100))


@case
def calls_on_what_is_not_connected() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    fresh = socket.socket()
    say(told(fresh.getpeername), told(fresh.recv, 1), told(fresh.send, b"x"), told(fresh.shutdown, socket.SHUT_WR))
    say(fresh.getsockname(), events_of(fresh, select.POLLIN | select.POLLOUT), told(fresh.accept))
    client, accepted = pair()
    say(told(client.listen), told(client.bind, (LOCAL, 0)), told(client.accept))
    say(told(client.connect, (LOCAL, 1)), told(accepted.connect, (LOCAL, 1)))


@case
def accepting_without_waiting() -> None:
    with listener() as waiting:
        waiting.setblocking(False)
        say(told(waiting.accept))
        client = socket.create_connection(waiting.getsockname())
        say(events_of(waiting, select.POLLIN))
        accepted = waiting.accept()[0]
        flags = fcntl.fcntl(accepted, fcntl.F_GETFL), fcntl.fcntl(accepted, fcntl.F_GETFD)
        say(bool(flags[0] & os.O_NONBLOCK), flags[1], told(waiting.accept))
        client.sendall(b"hello")
        accepted.setblocking(True)
        say(accepted.recv(10))
