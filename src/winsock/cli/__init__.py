"""The `winsock` command. Each subcommand is a module of its own, imported when it is called for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "run": "run a program with its sockets opened through layers",
    "explain": "show what a chain would trap, without running anything",
    "layers": "list the layers, their options, and the functions they override",
    "catalog": "print the installed protocols and chains",
    "doctor": "say what works on this machine, and what to do where it does not",
}
_USAGE_STATUS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. As a script (no `argv`) leave at once: there is nothing to tidy up."""
    status = _main(list(sys.argv[1:] if argv is None else argv))
    if argv is None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(status)
    return status


def _main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else _USAGE_STATUS
    if arguments[0] in ("-V", "--version"):
        from winsock import __version__

        print(f"winsock {__version__}")
        return 0
    command = arguments[0]
    if command not in COMMANDS:
        from winsock.cli.words import nearest_first

        listed = ", ".join(nearest_first(command, COMMANDS))
        print(f"winsock: there is no command {command!r}; there are: {listed}", file=sys.stderr)
        return _USAGE_STATUS
    module = import_module(f"winsock.cli.{command}")
    status: int = module.main(arguments[1:])
    return status


def _help() -> str:
    lines = [f"  {name:<9} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "winsock - run any program with its sockets opened through layers you write",
            "",
            "usage: winsock COMMAND ...",
            "",
            *lines,
            "",
            "winsock COMMAND --help says more.    Try: winsock run -- curl http://127.0.0.1/",
        ]
    )
