"""`winsock run`: run a program with its sockets opened through layers."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, HelpFormatter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from winsock.cli.words import Parser, UsageError

if TYPE_CHECKING:
    from winsock.catalog.store import Installed
    from winsock.supervisor.plan import Plan

USAGE_STATUS = 2
CANNOT_SUPERVISE = 125
DEFAULT_LAYER = "trace"


def main(arguments: Sequence[str]) -> int:
    """The exit status: the program's, 128+n after signal n, 127, 126, 125 (no supervision), 2 (wrong use)."""
    if not sys.platform.startswith("linux"):
        print(f"winsock: run needs Linux (seccomp); this is {sys.platform}", file=sys.stderr)
        return CANNOT_SUPERVISE
    from winsock.supervisor.generations.launch import Inheritance, LaunchError

    try:
        inheritance = Inheritance.capture()
    except LaunchError as error:
        print(f"winsock: {error}", file=sys.stderr)
        return error.status
    options = _parser().parse_options(split(arguments)[0])
    program = split(arguments)[1]
    if not program:
        print("winsock: which program? winsock run [OPTION]... -- PROGRAM [ARG]...", file=sys.stderr)
        return USAGE_STATUS
    from winsock.supervisor.generations import printed
    from winsock.supervisor.run import Choices, run

    try:
        with printed.kept():
            plan = make_plan(options.layer, program)
        choices = Choices(options.format == "json", options.output, options.strict, options.drain, options.wait_all)
        return run(plan, program, choices, inheritance)
    except UsageError as error:
        print(f"winsock: {error}", file=sys.stderr)
        return USAGE_STATUS
    except OSError as error:
        text = error if error.filename is None else f"{error.filename}: {error.strerror}"
        print(f"winsock: {text}", file=sys.stderr)
        return CANNOT_SUPERVISE


def make_plan(layers: Sequence[str], program: Sequence[str] = ()) -> Plan:
    """The plan for what `--layer` named, else for what is installed, else for trace.

    `UsageError` where it cannot run; `WinsockError` where what is installed cannot run, or be read.
    """
    from winsock.abi.errors import WinsockError
    from winsock.catalog import store
    from winsock.cli.choosing import choose
    from winsock.supervisor.plan import PlanError, make

    contents = None if layers else store.read()
    plan = _installed_plan(contents, program) if contents is not None and contents.generation else None
    if plan is not None:
        return plan
    try:
        return make([choose(text) for text in layers or [DEFAULT_LAYER]])
    except (PlanError, WinsockError) as error:
        raise UsageError(str(error)) from error


def _installed_plan(contents: Installed, program: Sequence[str]) -> Plan | None:
    """The plan for the layers that are installed, and that the program permits; None where there are none."""
    from winsock.abi.errors import WSAEPROVIDERFAILEDINIT, WinsockError
    from winsock.catalog.categories import of_program, permitting
    from winsock.supervisor.plan import PlanError, of_catalog

    permitted = None
    if program and contents.applications:
        from shutil import which

        permitted = of_program(contents.applications, which(program[0]) or program[0], program[1:])
    try:
        return of_catalog(permitting(contents.native, permitted))
    except PlanError as error:
        raise WinsockError(WSAEPROVIDERFAILEDINIT, f"what is installed cannot run: {error}") from error


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our arguments, and the program with its own: after `--`, or from the first word that is no option."""
    at, words = 0, list(arguments)
    while at < len(words):
        word = words[at]
        if word == "--":
            return words[:at], words[at + 1 :]
        if not word.startswith("-"):
            return words[:at], words[at:]
        at += 2 if word in VALUED else 1
    return words, []


VALUED = ("--layer", "--format", "--output", "--drain", "-o")


def add_layer_option(parser: ArgumentParser) -> None:
    """The option that `run` and `explain` share."""
    parser.add_argument(
        "--layer",
        action="append",
        metavar="NAME[,OPTION=VALUE]...",
        help="a layer, the first one uppermost: a name (winsock layers), package.module:Class, or ./file.py[:Class]; "
        "if none is given, what is installed (winsock catalog), else trace",
    )


def _parser() -> Parser:
    parser = Parser(
        prog="winsock run",
        usage="winsock run [OPTION]... -- PROGRAM [ARG]...",
        description="Run a program, and every process it starts, with its sockets opened through layers.",
        epilog="The exit status is the program's; 127 not found, 126 not executable, 125 it cannot be supervised.",
        formatter_class=_formatter,
    )
    add_layer_option(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how our lines look")
    parser.add_argument("-o", "--output", metavar="FILE", help="write our lines to FILE instead of stderr")
    parser.add_argument("--strict", action="store_true", help="fail (125) where an inet socket was not layered")
    parser.add_argument(
        "--drain", type=_seconds, default=5.0, metavar="SECONDS", help="how long relays may go on after the program (5)"
    )
    parser.add_argument("--wait-all", action="store_true", help="wait for every process of the tree, daemons too")
    return parser


def _formatter(prog: str) -> HelpFormatter:
    """The parser asks for one with every option: told the width, it imports nothing to find out."""
    try:
        columns = os.get_terminal_size().columns
    except OSError:
        columns = 80
    return HelpFormatter(prog, width=columns - 2)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number of seconds, such as 5 or 0.5")
    return value
