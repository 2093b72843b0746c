"""Connections that are shared, handed over, inherited; many of them."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import subprocess

from tests.programs.edges.words import (
    BULK,
    all_of,
    case,
    events_until,
    in_thread,
    listener,
    pair,
    say,
    send_all,
    short,
    told,
)


@case
def a_child_shares_the_connection() -> None:
    client, accepted = pair()
    child = os.fork()
    if not child:
        client.sendall(b"from the child\n")
        say("child reads", client.recv(100))
        os._exit(0)
    say(accepted.recv(100))
    accepted.sendall(b"to the child")
    os.waitpid(child, 0)
    client.sendall(b"from the parent")
    client.close()
    say(all_of(accepted))


@case
def the_last_holder_ends_the_connection() -> None:
    client, accepted = pair()
    other = client.dup()
    client.close()
    other.sendall(b"still here")
    say(accepted.recv(100), told(accepted.recv, 1, socket.MSG_DONTWAIT))
    other.close()
    say(accepted.recv(100))


@case
def a_program_started_on_the_connection() -> None:
    """As inetd does."""
    client, accepted = pair()
    number = accepted.fileno()
    with subprocess.Popen(["sh", "-c", "read line; echo got $line; exec cat"], stdin=number, stdout=number):
        accepted.close()
        client.sendall(b"a line\n")
        thread = in_thread(send_all, client)
        say(short(all_of(client)))
        thread.join()


@case
def a_connection_that_is_handed_over() -> None:
    client, accepted = pair()
    here, there = socket.socketpair()
    child = os.fork()
    if not child:
        client.close()
        accepted.close()
        _, (number,), _, _ = socket.recv_fds(there, 10, 1)
        received = socket.socket(fileno=number)
        received.sendall(b"by another process: " + received.recv(100))
        received.shutdown(socket.SHUT_WR)
        os._exit(0)
    socket.send_fds(here, [b"x"], [client.fileno()])
    client.close()
    accepted.sendall(b"a question")
    os.waitpid(child, 0)
    say(all_of(accepted))


@case
def many_short_connections() -> None:
    with listener() as waiting:
        thread = in_thread(answer_each, waiting, 300)
        answers = []
        for number in range(300):
            with socket.create_connection(waiting.getsockname()) as client:
                client.sendall(b"%d" % number)
                client.shutdown(socket.SHUT_WR)
                answers.append(all_of(client) == b"%d!" % number)
        thread.join()
    say(len(answers), all(answers))


def answer_each(waiting: socket.socket, count: int) -> None:
    for _ in range(count):
        with waiting.accept()[0] as accepted:
            accepted.sendall(all_of(accepted) + b"!")


@case
def questions_and_answers() -> None:
    client, accepted = pair()
    thread = in_thread(send_back, accepted)
    digest = hashlib.sha256()
    for number in range(1500):
        client.sendall(b"%d;" % number)
        digest.update(client.recv(100))
    client.close()
    thread.join()
    say(digest.hexdigest())


def send_back(end: socket.socket) -> None:
    while piece := end.recv(65536):
        end.sendall(piece)
    end.close()


@case
def both_ways_at_once() -> None:
    client, accepted = pair()
    threads = [in_thread(send_all, end, BULK * 8) for end in (client, accepted)]
    answers: dict[str, str] = {}
    threads += [
        in_thread(lambda name, end: answers.update({name: short(all_of(end))}), name, end)
        for name, end in {"client": client, "accepted": accepted}.items()
    ]
    for thread in threads:
        thread.join()
    say(sorted(answers.items()))


@case
def urgent_bytes() -> None:
    client, accepted = pair()
    client.sendall(b"before")
    client.send(b"!", socket.MSG_OOB)
    client.sendall(b"after")
    say(events_until(accepted, select.POLLPRI | select.POLLIN, select.POLLPRI))
    say(accepted.recv(1, socket.MSG_OOB), accepted.recv(11, socket.MSG_WAITALL))
