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
    "catalog": "install layers for every run, remove them, show what is installed",
    "doctor": "say what works on this machine, and what to do where it does not",
}
_USAGE_STATUS = 2
_UNREAD_STATUS = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. As a script (no `argv`) leave at once: there is nothing to tidy up."""
    if argv is not None:
        return _main(list(argv))
    try:
        status = _main(sys.argv[1:])
    except BrokenPipeError:
        status = _UNREAD_STATUS
    os._exit(status if _flushed() else status or _UNREAD_STATUS)


def _flushed() -> bool:
    """Write out what was printed; false where nobody reads it any more."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        return False
    return True


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
        print(f"winsock: there is no command {command!r}; there are: {listed}{_meant(command)}", file=sys.stderr)
        return _USAGE_STATUS
    module = import_module(f"winsock.cli.{command}")
    status: int = module.main(arguments[1:])
    return status


def _meant(command: str) -> str:
    """What somebody may have meant who typed a program or a layer instead of a command."""
    from shutil import which

    if which(command):
        return f". To run a program: winsock run -- {command} ..."
    return ". To run a program through it: winsock run --layer trace -- PROGRAM ..." if command == "trace" else ""


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
