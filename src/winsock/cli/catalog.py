"""`winsock catalog show`: the installed protocols and chains, in the order in which they are matched."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str]) -> int:
    """0, or 2 for wrong use."""
    from winsock.catalog.entries import Catalog

    parser = ArgumentParser(prog="winsock catalog", description="Print the installed protocols and chains in order.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="show")
    show = commands.add_parser("show", help="print the entries")
    show.add_argument("--json", action="store_true", help="as one JSON array")
    options = parser.parse_args(arguments)
    records = [_record(entry) for entry in Catalog()]
    if options.json:
        import json

        print(json.dumps(records, indent=2))
        return 0
    for record in records:
        print(
            f"{record['id']:>5}  {record['name']:<26} family {record['family']:<3} type {record['type']} "
            f"protocol {record['protocol']:<3} {record['kind']:<8} {record['path']}"
        )
    return 0


_KINDS = {0: "layered", 1: "base"}


def _record(entry: Any) -> dict[str, Any]:
    info = entry.info
    return {
        "id": info.dwCatalogEntryId,
        "name": info.szProtocol,
        "family": info.iAddressFamily,
        "type": info.iSocketType,
        "protocol": info.iProtocol,
        "kind": _KINDS.get(info.chain_length, "chain"),
        "chain": list(info.ProtocolChain.ChainEntries),
        "provider": str(info.ProviderId),
        "path": entry.path,
    }
