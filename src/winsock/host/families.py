"""Address families that chains carry: Winsock's numbers and this host's, which differ for IPv6."""

from __future__ import annotations

import socket

from winsock.abi.constants import AF_INET, AF_INET6

TO_HOST = {AF_INET: int(socket.AF_INET), AF_INET6: int(socket.AF_INET6)}
FROM_HOST = {host: family for family, host in TO_HOST.items()}


def hint(family: int) -> str:
    """What to add to the refusal of a family, where it is the host's number that was given."""
    is_hosts = family not in TO_HOST and family in FROM_HOST
    return f"; AF_INET6 is {AF_INET6} in Winsock" if is_hosts else ""
