"""The options of a layer as text, "volume=11,names=yes": how they are typed, how they are kept, and what they mean.

A layer's Options is a dataclass; the types of its fields say what a text becomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

_TRUTHS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


class Settings(NamedTuple):
    """The options of an installed layer, still as text: who loads the layer makes its Options of them."""

    text: str


class NoSuchOption(ValueError):
    """An option that the layer does not have."""

    def __init__(self, key: str, known: Sequence[str]) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(f"there is no option {key!r}; there are: {listed}")
        self.key = key
        self.known = known


def parse(options: type | None, settings: Sequence[str]) -> Any:
    """The layer's options from its defaults and what was set, "key=value" each; ValueError says what is wrong."""
    if options is None:
        if settings:
            raise ValueError(f"this layer has no options, so {settings[0]!r} means nothing")
        return None
    fields = field_types(options)
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if key not in fields:
            raise NoSuchOption(key, list(fields))
        values[key] = _value(key, fields[key], text if equals else "true")
    try:
        return options(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def field_types(options: type) -> Mapping[str, Any]:
    """The fields of an options dataclass and their types; ValueError where a type is a name that nobody knows."""
    fields = getattr(options, "__dataclass_fields__", {})
    try:
        hints = get_type_hints(options) if fields else {}
    except NameError as error:
        raise ValueError(f"the types of the options of {options.__qualname__} cannot be read: {error}") from error
    return {field: hints.get(field, str) for field in fields}


def _value(key: str, kind: Any, text: str) -> Any:
    """The text as a value of the field's type; of an optional one, as a value of what it may be."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    try:
        return _as(kind, text)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{key}={text!r} is not {_wanted(kind)}") from None


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
