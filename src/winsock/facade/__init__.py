"""What Python programs already speak, over Winsock.

import winsock.facade

winsock.facade.install()
import http.client  # whatever is imported from here on opens its sockets through protocol chains
"""

from __future__ import annotations

_INSIDE = ("host", "core", "spi", "overlapped", "catalog", "base", "dispatcher", "api")
"""The floors whose modules must have the host's own sockets, whenever they are imported."""


def install() -> None:
    """Put the twin in the place of the socket module, for all that is imported afterwards."""
    import sys
    from importlib import import_module
    from pkgutil import walk_packages

    from winsock.facade import socket

    for floor in _INSIDE:
        package = import_module(f"winsock.{floor}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    sys.modules["socket"] = socket
