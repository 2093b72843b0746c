"""`winsock catalog`: what is installed, in the order in which it is matched; to install layers and remove them."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from winsock.cli.words import Parser, UsageError

USAGE_STATUS, REFUSED_STATUS = 2, 1

_PLACES = {
    "show": "catalog",
    "install": "catalog_changes",
    "remove": "catalog_changes",
    "reorder": "catalog_changes",
    "reset": "catalog_changes",
    "repair": "catalog_health",
    "audit": "catalog_health",
}
"""Where each command is: a function of its name in a module that is imported when it is called for."""


def main(arguments: Sequence[str]) -> int:
    """0; 1 where a change is refused, or problems were found; 2 for wrong use."""
    from winsock.abi.errors import WinsockError

    options = _parser().parse_options(arguments)
    module = import_module(f"winsock.cli.{_PLACES[options.command]}")
    try:
        status: int = getattr(module, options.command)(options)
        return status
    except UsageError as error:
        print(f"winsock: {error}", file=sys.stderr)
        return USAGE_STATUS
    except BrokenPipeError:  # nobody reads on
        raise
    except OSError as error:
        text = error.strerror if isinstance(error, WinsockError) else error
        print(f"winsock: {text}", file=sys.stderr)
        return REFUSED_STATUS


def _parser() -> Parser:
    parser = Parser(
        prog="winsock catalog",
        description="The installed protocols and chains. A layer that is installed is part of every `winsock run` "
        "without --layer, and of every program that starts Winsock afterwards.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print the entries, in the order in which they are matched")
    show.add_argument("--json", action="store_true", help="as one JSON array")
    show.add_argument("--32", dest="twin", action="store_true", help="the catalog of 32-bit programs")
    _add_install(commands.add_parser("install", help="put a layer over what is installed"))
    remove = commands.add_parser("remove", help="remove layers; chains that they were part of go on without them")
    remove.add_argument("what", nargs="+", metavar="NAME|ID", help="a layer's name, or the id of a layer or chain")
    reorder = commands.add_parser("reorder", help="put entries first: a socket gets the first that fits")
    reorder.add_argument("what", nargs="+", metavar="ID|NAME", help="an entry, or the chains with that layer on top")
    commands.add_parser("reset", help="go back to what is built in; the old file is kept aside")
    commands.add_parser("repair", help="mend what can be mended, and say what was done")
    audit = commands.add_parser("audit", help="look for problems: chains, files, rights; exit 1 where there are any")
    audit.add_argument("--json", action="store_true", help="as one JSON array")
    return parser


def _add_install(install: Parser) -> None:
    install.add_argument(
        "layer",
        metavar="LAYER[,OPTION=VALUE]...",
        help="a name (winsock layers), package.module:Class, or ./file.py[:Class]; of a layer that is installed, what "
        "is given now replaces what was, and its file is taken anew",
    )
    install.add_argument(
        "--over",
        action="append",
        metavar="WHAT",
        help="cover only tcp, udp, ipv4, ipv6, tcp/ipv4, ...; or base: the base protocols, not what is above them; or "
        "the entry of an id. All that sockets get, if none is given",
    )
    install.add_argument("--name", help="another name than the layer's own")
    install.add_argument(
        "--categories",
        metavar="NAME,...",
        help="of what kinds it is, for programs that permit only some: inspector, "
        "redirector, proxy, firewall, inbound_modify, outbound_modify, crypto_compress, local_cache, system",
    )


# Showing.


def show(options: Namespace) -> int:
    """Print the entries."""
    from winsock.catalog import store

    contents = store.read()
    print_entries(contents.twin if options.twin else contents.native, options.json)
    return 0


def print_entries(catalog: Any, as_json: bool = False) -> None:
    """The entries, a line each."""
    records = [record_of(entry) for entry in catalog]
    if as_json:
        import json

        print(json.dumps(records, indent=2))
        return
    width = max((len(record["name"]) for record in records), default=0)
    for record in records:
        settings = f",{record['options']}" if "options" in record else ""
        print(
            f"{record['id']:>5}  {record['name']:<{width}} family {record['family']:<3} type {record['type']} "
            f"protocol {record['protocol']:<3} {record['kind']:<8} {record['path']}{settings}"
        )


_KINDS = {0: "layered", 1: "base"}


def record_of(entry: Any) -> dict[str, Any]:
    """An entry as a JSON object; what is not usual only where it is so."""
    info = entry.info
    record = {
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
    if entry.options is not None:
        record["options"] = entry.options.text
    if entry.digest:
        record["sha256"] = entry.digest
    if entry.categories:
        record["categories"] = entry.categories
    return record
