"""`winsock layers`: the layers there are, their options, and the functions they override."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str]) -> int:
    """0; a layer that does not import is listed with the reason."""
    from winsock.abi.errors import WinsockError
    from winsock.cli.choosing import installed
    from winsock.cli.words import Parser, UsageError
    from winsock.dispatcher import loader

    Parser(
        prog="winsock layers", description="List the layers, their options, and the functions they override."
    ).parse_options(arguments)
    for name, path in sorted(installed().items()):
        try:
            lines = _about(name, path, loader.resolve(path))
        except (WinsockError, UsageError) as error:
            lines = [f"{name:<12} cannot be used: {getattr(error, 'strerror', None) or error}"]
        except Exception as error:  # what others wrote must not hide what else there is
            lines = [f"{name:<12} cannot be used: {path}: {type(error).__name__}: {error}"]
        print("\n".join(lines))
    print("\nYour own: --layer ./mine.py, or an entry point of the group winsock.layers in a package.")
    return 0


def _about(name: str, path: str, found: Any) -> list[str]:
    from winsock.cli.words import UsageError
    from winsock.spi.layer import is_stream, overridden

    kind = found if isinstance(found, type) else type(found)
    if not hasattr(kind, "WSPStartup") and not is_stream(kind):
        raise UsageError(f"{path} is no layer (a subclass of winsock.Layer or winsock.StreamLayer)")
    caption = (kind.__doc__ or "").strip().splitlines()
    options = getattr(kind, "Options", None)
    more = [
        f"overrides: {', '.join(sorted(overridden(kind))) or 'nothing'}",
        *(_option_lines(options) if options is not None else ["options: none"]),
    ]
    return [f"{name:<12} {caption[0] if caption else path}", *(f"{'':<12} {line}" for line in more)]


def _option_lines(options: type) -> list[str]:
    """A line for each option: name, type, default, help (the field's metadata `help`)."""
    import dataclasses
    from enum import Enum

    from winsock.catalog.settings import choices, word_of
    from winsock.cli.choosing import field_types

    if not dataclasses.is_dataclass(options):
        return ["options: none, for Options is no dataclass"]
    types = field_types(options)
    lines = []
    for field in dataclasses.fields(options):
        if field.name not in types:
            continue  # nobody can set it
        kind = "|".join(choices(types[field.name])) or getattr(types[field.name], "__name__", str(types[field.name]))
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        told = word_of(default) if isinstance(default, Enum) else repr(default)
        default = "required" if default is dataclasses.MISSING else f"default {told}"
        lines.append(f"option {field.name}={kind} ({default}) {field.metadata.get('help', '')}".rstrip())
    return lines
