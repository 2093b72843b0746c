"""`winsock doctor`: what works on this machine, and what to do where it does not."""

from __future__ import annotations

from collections.abc import Sequence

from winsock.cli.words import Parser


def main(arguments: Sequence[str]) -> int:
    """0 where programs can be supervised here, else 1."""
    parser = Parser(prog="winsock doctor", description="Say what works here, and what to do where it does not.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_options(arguments)
    from winsock.supervisor import doctor

    checks = doctor.checks()
    print(doctor.as_json(checks) if options.json else doctor.render_text(checks))
    return 0 if doctor.healthy(checks) else 1
