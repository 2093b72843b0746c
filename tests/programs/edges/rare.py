"""What few programs do, and some do all day."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import termios
import threading

from tests.programs.edges.words import (
    BULK,
    LOCAL,
    RESET,
    WAIT_MS,
    all_of,
    case,
    events_of,
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
def data_with_the_connect() -> None:
    """MSG_FASTOPEN: a send that connects."""
    with listener() as waiting:
        client = socket.socket()
        say(client.sendto(b"at once", socket.MSG_FASTOPEN, waiting.getsockname()))
        accepted = waiting.accept()[0]
        say(accepted.recv(100), accepted.getpeername() == client.getsockname())
        client.setblocking(False)
        other = socket.socket()
        other.setblocking(False)
        say(told(other.sendto, b"", socket.MSG_FASTOPEN, waiting.getsockname()))
        say(events_of(other, select.POLLOUT), told(other.send, b"later"))
        say(waiting.accept()[0].recv(100))


@case
def a_close_while_connecting() -> None:
    with listener() as waiting:
        for _ in range(20):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(waiting.getsockname())
            client.close()
        last = socket.create_connection(waiting.getsockname())
        last.sendall(b"the last")
        last.shutdown(socket.SHUT_WR)
        answers: list[object] = []
        while not answers or answers[-1] == b"":
            with waiting.accept()[0] as accepted:
                answers.append(told(all_of, accepted))
        say(answers[-1])


@case
def a_shutdown_while_connecting() -> None:
    with Full() as address:
        client = socket.socket()
        client.setblocking(False)
        say(told(client.connect, address), told(client.shutdown, socket.SHUT_WR))
        say(events_of(client, select.POLLOUT), told(client.getpeername))


class Full:
    """A listener whose queue is full: a connect to it waits."""

    def __enter__(self) -> tuple[str, int]:
        self.waiting = listener(backlog=0)
        self.filler = socket.create_connection(self.waiting.getsockname())
        name: tuple[str, int] = self.waiting.getsockname()
        return name

    def __exit__(self, *error: object) -> None:
        self.filler.close()
        self.waiting.close()


@case
def calls_on_what_still_connects() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with Full() as address:
        client = socket.socket()
        client.setblocking(False)
        say(told(client.connect, address), told(client.connect, address), told(client.getpeername))
        say(told(client.send, b"x"), told(client.recv, 1), client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        say(client.getsockname()[0], client.getsockname()[1] != 0, told(client.listen))
        poll = select.poll()
        poll.register(client, select.POLLIN | select.POLLOUT)
        say(poll.poll(50))


@case
def a_connect_with_a_time_limit() -> None:
    with Full() as address:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 200_000))
        say(told(client.connect, address), told(client.connect, address))
        client.close()


@case
def a_connect_that_a_signal_interrupts() -> None:
    with Full() as address:
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)  # by then it is held, whoever holds it
        signal.signal(signal.SIGALRM, interrupt)
        client = socket.socket()
        try:
            client.connect(address)
        except InterruptedError:
            say("interrupted")
        signal.setitimer(signal.ITIMER_REAL, 0)
        client.setblocking(False)
        say(told(client.connect, address))


def interrupt(*_: object) -> None:
    raise InterruptedError


@case
def a_connect_that_becomes_possible() -> None:
    """The first SYN is dropped; the second, a second later, is not."""
    waiting = listener(backlog=0)
    filler = socket.create_connection(waiting.getsockname())
    client = socket.socket()
    client.setblocking(False)
    say(told(client.connect, waiting.getsockname()))
    poll = select.poll()
    poll.register(client, select.POLLOUT)
    say(poll.poll(100))
    waiting.accept()[0].close()
    say([events for _, events in poll.poll(WAIT_MS)] == [select.POLLOUT])
    accepted = waiting.accept()[0]
    client.sendall(b"in the end")
    say(accepted.recv(100))
    filler.close()


@case
def a_listener_that_closes() -> None:
    """What waits in its queue is reset."""
    waiting = listener()
    client = socket.create_connection(waiting.getsockname())
    client.sendall(b"is anybody there?")
    address = waiting.getsockname()
    waiting.close()
    say(events_until(client, select.POLLIN, select.POLLERR), told(client.recv, 10))
    say(told(socket.socket().connect, address))


@case
def two_listeners_on_one_port() -> None:
    listeners = [socket.socket() for _ in range(2)]
    for waiting in listeners:
        waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        waiting.bind(listeners[0].getsockname() if waiting is listeners[1] else (LOCAL, 0))
        waiting.listen()
        waiting.setblocking(False)
    clients = [socket.create_connection(listeners[0].getsockname()) for _ in range(40)]
    took = [0, 0]
    for index, waiting in enumerate(listeners):
        while not isinstance(accepted := told(waiting.accept), str):
            took[index] += 1
            accepted[0].sendall(b"x")  # type: ignore[index]
    say(sum(took), min(took) > 0, all(client.recv(1) == b"x" for client in clients))


@case
def a_process_without_descriptors_left() -> None:
    with listener() as waiting:
        client = socket.create_connection(waiting.getsockname())
        client.sendall(b"patience")
        lowest = os.open("/dev/null", os.O_RDONLY)
        os.close(lowest)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
        say(told(waiting.accept))
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        say(waiting.accept()[0].recv(100))


@case
def many_at_once() -> None:
    with listener(backlog=1024) as waiting:
        clients = [socket.create_connection(waiting.getsockname()) for _ in range(300)]
        accepted = [waiting.accept()[0] for _ in clients]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
            client.shutdown(socket.SHUT_WR)
        answers = sorted(int(all_of(end)) for end in accepted)
        say(answers == list(range(300)))
        for end in accepted:
            end.sendall(b"seen")
            end.close()
        say({all_of(client) for client in clients})


@case
def threads_that_connect_at_once() -> None:
    with listener(backlog=256) as waiting:
        together = threading.Barrier(40)
        answers: list[bool] = []

        def ask(number: int) -> None:
            together.wait()
            with socket.create_connection(waiting.getsockname()) as client:
                client.sendall(b"%d" % number)
                client.shutdown(socket.SHUT_WR)
                answers.append(all_of(client) == b"%d!" % number)

        threads = [in_thread(ask, number) for number in range(40)]
        for _ in threads:
            with waiting.accept()[0] as accepted:
                accepted.sendall(all_of(accepted) + b"!")
        for thread in threads:
            thread.join()
        say(answers == [True] * 40)


@case
def datagrams() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind((LOCAL, 0))
        two.sendto(b"by name", one.getsockname())
        say(one.recv(100))
        two.connect(one.getsockname())
        two.send(b"connected")
        data, peer = one.recvfrom(100)
        say(data, peer == two.getsockname(), two.getpeername() == one.getsockname())


@case
def what_is_not_sent_yet() -> None:
    client, accepted = pair()
    client.sendall(b"x" * 1000)
    accepted.recv(1000, socket.MSG_WAITALL)
    for _ in range(WAIT_MS):
        if not (left := struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)))[0]):
            break
        select.select([], [], [], 0.001)
    say(left)
    accepted.sendall(b"y" * 1000)
    events_of(client, select.POLLIN)
    client.recv(1000, socket.MSG_WAITALL | socket.MSG_PEEK)
    say(struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0])


@case
def a_reset_in_the_middle() -> None:
    """Somebody who is sending hears of it."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    client, accepted = pair()
    answers: list[str] = []

    def send() -> None:
        try:
            while True:
                client.sendall(BULK)
        except OSError as error:
            answers.append(errno.errorcode[error.errno or 0])

    thread = in_thread(send)
    accepted.recv(1 << 20, socket.MSG_WAITALL)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    accepted.close()
    thread.join()
    say(answers)


@case
def a_slow_reader_gets_everything() -> None:
    client, accepted = pair()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 40_000)
    thread = in_thread(send_all, client)
    data = b""
    while piece := accepted.recv(70_000 if len(data) > 300_000 else 999):
        data += piece
    thread.join()
    say(short(data))


@case
def small_pieces_are_not_held_back() -> None:
    """A question in two sends, without TCP_NODELAY, gets its answer."""
    client, accepted = pair()
    for _ in range(5):
        client.send(b"first ")
        client.send(b"second")
        got = accepted.recv(12, socket.MSG_WAITALL)
        accepted.send(got[:1])
        client.recv(1)
    say(got)


@case
def ends_that_are_told_apart() -> None:
    """Closing one of two descriptors ends nothing; shutdown through either ends it for both."""
    client, accepted = pair()
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    client.shutdown(socket.SHUT_WR)
    say(accepted.recv(10))
    client.close()
    accepted.sendall(b"to whom?")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    say(events_until(accepted, select.POLLIN, select.POLLHUP))
