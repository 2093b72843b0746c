"""A simulated network with a partition that heals: two hosts, one conversation, and the whole history of it.

    python partition.py [SEED]      the same seed prints the same history, byte for byte

No packet leaves this process, and nobody waits: the clock jumps from one event to the next, so that the seconds of the
story take milliseconds. The functions that talk are ordinary Winsock programs; each runs on a thread of its host.
"""

from __future__ import annotations

import argparse
import sys

import winsock
from winsock.base.memory import Conditions, Host, Network

PORT = 7


def main(seed: str) -> None:
    """Make the network, tell it what will go wrong, let both talk, print what happened."""
    network = Network(seed, Conditions(latency=0.04, jitter=0.01, loss=0.05))
    alice = network.host("10.0.0.1", name="alice")
    bob = network.host("10.0.0.2", name="bob")
    network.at(1.0, network.partition, [alice], [bob])
    network.at(4.0, network.heal)
    with winsock.started(catalog=network.catalog()):
        bob.spawn(answer, bob)
        alice.spawn(ask, alice, bob)
        network.run()
    print("\nwhat went over the wire:")
    print(network.transcript(), end="")


def answer(bob: Host) -> None:
    """Send back whatever comes."""
    listener = winsock.socket(winsock.AF_INET, winsock.SOCK_STREAM, 0)
    winsock.bind(listener, (bob.addresses[0], PORT))
    winsock.listen(listener, 1)
    s, _ = winsock.accept(listener)
    while data := winsock.recv(s, 1000):
        winsock.send(s, data)
    winsock.closesocket(s)


def ask(alice: Host, bob: Host) -> None:
    """Say a word every half second, and tell when the echo is back."""
    network = alice.network
    s = winsock.socket(winsock.AF_INET, winsock.SOCK_STREAM, 0)
    winsock.connect(s, (bob.addresses[0], PORT))
    for word in ("hello", "how are you", "still there", "ah, there you are", "good-bye"):
        said = network.now
        winsock.send(s, word.encode())
        echo = winsock.recv(s, 1000).decode()
        print(f"{said:6.3f} s  alice says {word!r}, and hears {echo!r} {network.now - said:.3f} s later")
        network.sleep(0.5)
    winsock.closesocket(s)


if __name__ == "__main__":
    usage = argparse.ArgumentParser(description="A simulated network with a partition that heals.")
    usage.add_argument("seed", nargs="?", default="7", help="the same seed tells the same story (7)")
    main(usage.parse_args(sys.argv[1:]).seed)
