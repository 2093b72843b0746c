"""How connections end."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct

from tests.programs.edges.words import (
    BULK,
    RESET,
    all_of,
    case,
    events_of,
    events_until,
    in_thread,
    listener,
    pair,
    say,
    send_all,
    send_and_close,
    short,
    told,
)


@case
def the_client_ends_first_and_reads_on() -> None:
    client, accepted = pair()
    thread = in_thread(send_all, client)
    say(short(all_of(accepted)))
    thread.join()
    say(told(client.send, b"more"))
    thread = in_thread(send_all, accepted, BULK * 2)
    say(short(all_of(client)))
    thread.join()
    say(told(client.recv, 1))


@case
def the_server_ends_first_and_reads_on() -> None:
    client, accepted = pair()
    accepted.sendall(b"all I have to say")
    accepted.shutdown(socket.SHUT_WR)
    say(all_of(client))
    say(events_of(client, select.POLLIN | select.POLLOUT | select.POLLRDHUP))
    thread = in_thread(send_all, client)
    say(short(all_of(accepted)))
    thread.join()
    say(events_until(client, 0, select.POLLHUP), events_until(accepted, 0, select.POLLHUP))


@case
def a_close_ends_both_ways() -> None:
    client, accepted = pair()
    client.sendall(b"last words")
    client.close()
    say(all_of(accepted))
    say(events_of(accepted, select.POLLIN | select.POLLRDHUP))
    accepted.send(b"nobody hears this")
    say(events_until(accepted, 0, select.POLLHUP))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    say(told(accepted.send, b"nor this"))
    say(told(accepted.send, b"nor that"))


@case
def the_client_resets() -> None:
    client, accepted = pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    say(events_until(accepted, select.POLLIN, select.POLLERR))
    say(told(accepted.recv, 10))
    say(told(accepted.recv, 10))
    say(told(accepted.send, b"x"))
    say(told(accepted.getpeername))


@case
def the_server_resets() -> None:
    client, accepted = pair()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    accepted.close()
    say(events_until(client, select.POLLIN, select.POLLERR))
    say(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    say(told(client.recv, 10))
    say(told(client.send, b"x"))
    say(told(client.getpeername))


@case
def a_reset_wakes_a_reader() -> None:
    client, accepted = pair()
    answers: list[object] = []
    thread = in_thread(lambda: answers.append(told(client.recv, 10)))
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    accepted.close()
    thread.join()
    say(answers)


@case
def a_close_with_unread_bytes_resets() -> None:
    client, accepted = pair()
    accepted.sendall(b"never read")
    events_of(client, select.POLLIN)
    client.close()
    say(events_until(accepted, select.POLLIN, select.POLLERR))
    say(told(accepted.recv, 10))


@case
def a_close_that_lingers_sends_everything() -> None:
    client, accepted = pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 10))
    thread = in_thread(send_and_close, client)
    say(short(all_of(accepted)))
    thread.join()


@case
def a_shutdown_of_reading() -> None:
    client, accepted = pair()
    client.shutdown(socket.SHUT_RD)
    say(client.recv(10))
    client.sendall(b"still sending")
    say(accepted.recv(100))
    client.shutdown(socket.SHUT_WR)
    say(accepted.recv(10))


@case
def a_shutdown_of_both() -> None:
    client, accepted = pair()
    client.sendall(b"one thing")
    client.shutdown(socket.SHUT_RDWR)
    say(client.recv(10), all_of(accepted))
    say(events_of(client, select.POLLIN))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    say(told(client.send, b"x"))


@case
def a_program_that_ends_leaves_its_bytes() -> None:
    """What it wrote is the kernel's when it ends, and comes in full."""
    with listener() as waiting:
        child = os.fork()
        if not child:
            client = socket.create_connection(waiting.getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            client.sendall(BULK[:300_000])
            os._exit(0)
        accepted = waiting.accept()[0]
        os.waitpid(child, 0)
        say(short(all_of(accepted)))


@case
def a_killed_program_ends_its_connections() -> None:
    with listener() as waiting:
        child = os.fork()
        if not child:
            client = socket.create_connection(waiting.getsockname())
            client.sendall(b"before the end")
            signal.pause()
        accepted = waiting.accept()[0]
        say(accepted.recv(100))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        say(told(accepted.recv, 100))
