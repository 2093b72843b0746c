"""A simulated network in this process: hosts, links that lose and delay, streams, datagrams, messages, sessions.

network = Network(seed=7, conditions=Conditions(latency=0.02, loss=0.01))
alice, bob = network.host("10.0.0.1", name="alice"), network.host("10.0.0.2", name="bob")
with winsock.started(catalog=network.catalog()):
    bob.spawn(serve)
    alice.spawn(ask)
    network.run()
print(network.transcript())
"""

from winsock.base.memory.hosts import Host
from winsock.base.memory.links import Conditions
from winsock.base.memory.network import Network, entries
from winsock.base.memory.provider import Memory

__all__ = ["Conditions", "Host", "Memory", "Network", "entries"]
