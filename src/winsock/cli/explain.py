"""`winsock explain`: what a chain overrides and what it would trap, without running anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from winsock.catalog.using import routes
from winsock.cli.run import CANNOT_SUPERVISE, USAGE_STATUS, add_layer_option, make_plan, split
from winsock.cli.words import Parser, UsageError


def main(arguments: Sequence[str]) -> int:
    """0, 2 where the chain cannot run, 125 where the catalog cannot be read."""
    parser = Parser(
        prog="winsock explain",
        usage="winsock explain [--layer NAME]... [-- PROGRAM [ARG]...]",
        description="Print the chain, what each layer overrides, and the system calls that would be trapped.",
    )
    add_layer_option(parser)
    ours, program = split(arguments)
    try:
        plan = make_plan(parser.parse_options(ours).layer, program)
    except (UsageError, OSError) as error:
        print(f"winsock: {error}", file=sys.stderr)
        return USAGE_STATUS if isinstance(error, UsageError) else CANNOT_SUPERVISE
    for route in routes(plan.catalog):
        print(f"chain: {' > '.join((*route.layers, ', '.join(route.kinds)))}")
    for layer in plan.layers:
        print(f"layer {layer.spec.name} ({layer.spec.path})")
        if layer.gets_bytes:
            print("  gets the bytes of TCP connections: those that it wants go through a relay")
        else:
            reached = ", ".join((*layer.carried, *layer.life_hooks))
            print(f"  overrides: {reached or 'nothing that a call of the program reaches'}")
        if layer.not_called:
            print(f"  not called under run: {layer.not_called_text}")
    print("trapped:")
    for rule in plan.rules:
        print(f"  {rule.call:<15} {rule.when}")
    print("everything else runs at native speed")
    if program:
        print(f"program: {' '.join(program)}")
    return 0
