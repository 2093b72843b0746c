"""From `--layer NAME[,option=value]...` to a layer and its options.

NAME is a layer of ours or of a package (entry points of the group `winsock.layers`), an import path
`package.module:Class`, or a file `./mine.py`, `./mine.py:Class` where it holds several.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from winsock.abi.errors import WinsockError
from winsock.catalog.entries import LayerSpec
from winsock.cli.words import UsageError, nearest_first
from winsock.dispatcher import loader

OURS = {"trace": "winsock.layers.trace:Trace"}
"""Layers that come with winsock: found without looking through what is installed."""
GROUP = "winsock.layers"
_TRUTHS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


def choose(text: str) -> LayerSpec:
    """The layer that `text` names; `UsageError` where there is none, or where an option is wrong."""
    name, *settings = text.split(",")
    path = _path(name)
    kind = _load(name, path)
    return LayerSpec(getattr(kind, "name", name), path, _options(name, kind, settings))


def installed() -> dict[str, str]:
    """Every named layer: name -> import path."""
    from importlib.metadata import entry_points

    return OURS | {point.name: point.value for point in entry_points(group=GROUP)}


def _path(name: str) -> str:
    if name in OURS:
        return OURS[name]
    file, _, class_name = name.partition(".py:")
    if name.endswith(".py") or (class_name and not name.startswith(".py")):
        file = name if name.endswith(".py") else file + ".py"
        if not os.path.isfile(file):
            raise UsageError(f"--layer {name}: there is no file {file}")
        return os.path.abspath(file) + (f":{class_name}" if class_name else "")
    if ":" in name:
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return name
    known = installed()
    if name in known:
        return known[name]
    listed = ", ".join(nearest_first(name, known))
    hint = f"; did you mean --layer ./{name}.py?" if os.path.isfile(name + ".py") else ""
    raise UsageError(
        f"there is no layer {name!r}{hint}; there are: {listed} (or a file ./mine.py, or package.module:Class)"
    )


def _load(name: str, path: str) -> Any:
    try:
        return loader.resolve(path)
    except WinsockError as error:
        raise UsageError(f"--layer {name}: {error.strerror or error}") from error


def _options(name: str, kind: Any, settings: list[str]) -> Any:
    """The layer's options, from its defaults and what was set."""
    options = getattr(kind, "Options", None)
    if options is None:
        if settings:
            raise UsageError(f"--layer {name}: this layer has no options, so {settings[0]!r} means nothing")
        return None
    fields = field_types(options)
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if key not in fields:
            listed = ", ".join(nearest_first(key, fields)) or "none"
            raise UsageError(f"--layer {name}: there is no option {key!r}; there are: {listed}")
        values[key] = _value(name, key, fields[key], text if equals else "true")
    try:
        return options(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--layer {name}: {error}") from error


def field_types(options: type) -> Mapping[str, Any]:
    """The fields of an options dataclass and their types; `UsageError` where a type is a name that nobody knows."""
    fields = getattr(options, "__dataclass_fields__", {})
    try:
        hints = get_type_hints(options) if fields else {}
    except NameError as error:
        raise UsageError(f"the types of the options of {options.__qualname__} cannot be read: {error}") from error
    return {field: hints.get(field, str) for field in fields}


def _value(name: str, key: str, kind: Any, text: str) -> Any:
    """The text as a value of the field's type; of an optional one, as a value of what it may be."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    try:
        return _as(kind, text)
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"--layer {name}: {key}={text!r} is not {_wanted(kind)}") from None


def _as(kind: Any, text: str) -> Any:
    if kind is bool:
        return _TRUTHS[text.lower()]
    if get_origin(kind) is Literal:
        return {str(choice): choice for choice in get_args(kind)}[text]
    if get_origin(kind) is not None:
        raise TypeError(kind)  # a list, say: one word is none
    return text if kind is Any else kind(text)


def _wanted(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return f"of type {kind if get_origin(kind) else getattr(kind, '__name__', kind)}"
