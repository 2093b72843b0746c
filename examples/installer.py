"""An installer for a layer in a file, by the functions that an installer on Windows calls.

    python installer.py install ./redirect.py:Mine     over every protocol, for all programs of this user
    python installer.py list                           what is installed, in the order in which sockets find it
    python installer.py remove mine                    take it out again, by its name

`winsock catalog` does the same, and more. The catalog is the user's own; WINSOCK_CATALOG names another file.
"""

from __future__ import annotations

import argparse
import sys
import uuid

import winsock
from winsock import GUID, Layer, StreamLayer, WinsockError
from winsock.dispatcher.loader import resolve

NAMESPACE = uuid.UUID("9d6f3c52-51f5-4c1e-8a52-6f4f0e3f1f30")


def guid_of(name: str) -> GUID:
    """A GUID that a layer of this name always has, so that it is found again, and cannot be installed twice."""
    return GUID.unpack(uuid.uuid5(NAMESPACE, name).bytes_le)


def install(path: str) -> None:
    """One call: the hidden entry of the layer, and a chain over every base protocol, which come first."""
    layer = resolve(path)
    if not (isinstance(layer, type) and issubclass(layer, (Layer, StreamLayer))):
        raise WinsockError(winsock.WSAEINVAL, f"{path} is no layer")
    flags = winsock.XP1_IFS_HANDLES if layer.ifs_handles else 0
    entry_id = winsock.WSCInstallProviderAndChains(guid_of(layer.name), path, layer.name, flags)
    print(f"{layer.name} is installed, as {entry_id}")


def show() -> None:
    """The catalog, hidden entries too; the members of a chain by their ids, the uppermost first."""
    for info in winsock.WSCEnumProtocols():
        members = " > ".join(map(str, info.ProtocolChain.ChainEntries))
        kind = {winsock.LAYERED_PROTOCOL: "layer", winsock.BASE_PROTOCOL: "base"}.get(info.chain_length, members)
        print(f"{info.dwCatalogEntryId}  {info.szProtocol}  ({kind})")


def remove(name: str) -> None:
    """The chains through the layer go with it, or go on without it."""
    winsock.WSCDeinstallProvider(guid_of(name))
    print(f"{name} is removed")


def main(arguments: list[str]) -> int:
    """0 where all went well, 1 where the catalog refused."""
    usage = argparse.ArgumentParser(description="Install, list and remove layers.")
    commands = usage.add_subparsers(dest="command", required=True)
    commands.add_parser("install").add_argument("layer", help="a file, or file.py:Class")
    commands.add_parser("list")
    commands.add_parser("remove").add_argument("name", help="the name of the layer")
    chosen = usage.parse_args(arguments)
    try:
        if chosen.command == "install":
            install(chosen.layer)
        elif chosen.command == "remove":
            remove(chosen.name)
        else:
            show()
    except WinsockError as error:
        print(f"installer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
