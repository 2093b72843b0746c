"""An echo server in one thread, in the way of Windows: an event object for each socket, and a wait for all of them.

    python event_server.py [PORT]       serve at loopback until Ctrl-C

Whoever is told FD_READ receives once, and is told again if there is more. FD_WRITE comes when a socket is new, and
after a send that found no room: what could not be sent waits here for it. FD_CLOSE comes once, when the peer has ended.
"""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

import winsock
from winsock import FD_ACCEPT, FD_CLOSE, FD_READ, FD_WRITE, WinsockError

AT_ONCE = 65536


class Client:
    """A connection, its event object, and what it has yet to be sent."""

    def __init__(self, s: int) -> None:
        self.socket = s
        self.event = selected(s, FD_READ | FD_WRITE | FD_CLOSE)
        self.unsent = bytearray()
        self.ended = False
        """Whether the peer has said everything."""

    def attend(self) -> bool:
        """Do what the network wants done; whether the connection goes on."""
        told = winsock.WSAEnumNetworkEvents(self.socket, self.event).lNetworkEvents
        try:
            if told & FD_READ:
                self.unsent.extend(winsock.recv(self.socket, AT_ONCE))
            if told & FD_CLOSE:
                while data := winsock.recv(self.socket, AT_ONCE):
                    self.unsent.extend(data)
                self.ended = True
            self.send()
        except WinsockError as error:
            print(f"a connection was lost: {error}", flush=True)
            return False
        return bool(self.unsent) or not self.ended

    def send(self) -> None:
        """Send what there is to send, as far as there is room."""
        try:
            while self.unsent:
                del self.unsent[: winsock.send(self.socket, self.unsent)]
        except WinsockError as error:
            if error.winerror != winsock.WSAEWOULDBLOCK:
                raise  # and otherwise FD_WRITE will tell

    def close(self) -> None:
        """Close the socket and its event object."""
        winsock.closesocket(self.socket)
        winsock.WSACloseEvent(self.event)


def selected(s: int, events: int) -> int:
    """The event object that tells of these events of a socket, which does not block from now on."""
    event = winsock.WSACreateEvent()
    winsock.WSAEventSelect(s, event, events)
    return event


def serve(port: int) -> NoReturn:
    """Serve whoever comes, as many at once as one wait may have events."""
    listener = winsock.WSASocket(winsock.AF_INET, winsock.SOCK_STREAM, winsock.IPPROTO_TCP)
    winsock.bind(listener, ("127.0.0.1", port))
    winsock.listen(listener, winsock.SOMAXCONN)
    print(f"serving at {winsock.getsockname(listener)}", flush=True)
    anyone = selected(listener, FD_ACCEPT)
    clients: dict[int, Client] = {}
    while True:
        events = [*clients, anyone]
        if len(events) > winsock.WSA_MAXIMUM_WAIT_EVENTS:
            events.pop()  # who comes now waits in the listener's queue
        event = events[winsock.WSAWaitForMultipleEvents(events, False, winsock.WSA_INFINITE)]
        if event == anyone:
            winsock.WSAEnumNetworkEvents(listener, anyone)
            client = Client(winsock.accept(listener)[0])  # and if there is another, the event is set again
            clients[client.event] = client
        elif not clients[event].attend():
            clients.pop(event).close()


def port(text: str) -> int:
    """A port's number; 0 lets the host choose."""
    if int(text) not in range(65536):
        raise ValueError(text)
    return int(text)


def main(arguments: list[str]) -> int:
    """0 after Ctrl-C; 1 where the port is not to be had."""
    usage = argparse.ArgumentParser(description="An echo server in one thread, at loopback.")
    usage.add_argument("port", type=port, nargs="?", default=0, help="0, or none, lets the host choose")
    wanted = usage.parse_args(arguments).port
    with winsock.started():
        try:
            serve(wanted)
        except KeyboardInterrupt:
            return 0
        except WinsockError as error:
            print(f"event_server: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
