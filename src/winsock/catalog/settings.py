"""The options of a layer as text, "volume=11,names=yes": how they are typed, how they are kept, and what they mean.

A layer's Options is a dataclass; the types of its fields say what a text becomes. An option that repeats,
"port=80,port=443", fills a list, a set, or a tuple of any length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
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
    if settings and not hasattr(options, "__dataclass_fields__"):
        raise ValueError(f"{options.__qualname__} is no dataclass (@dataclass), so {settings[0]!r} means nothing")
    fields = {name: _present(kind) for name, kind in field_types(options).items()}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if key not in fields:
            raise NoSuchOption(key, list(fields))
        kind = fields[key]
        text = text if equals else "true"
        if _is_many(kind):
            values[key] = [*values.get(key, ()), _value(key, _each(kind), text)]
        else:
            values[key] = _value(key, kind, text)
    for key in values.keys() & {name for name, kind in fields.items() if _is_many(kind)}:
        values[key] = (get_origin(fields[key]) or fields[key])(values[key])
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


def _present(kind: Any) -> Any:
    """The type of a field; of an optional one, of what it may be."""
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _is_many(kind: Any) -> bool:
    """Whether a field holds several values of a type: its option may repeat."""
    origin = get_origin(kind) or kind
    return origin in (list, set, frozenset) or (origin is tuple and get_args(kind)[1:] == (...,))


def _each(kind: Any) -> Any:
    return (*get_args(kind), str)[0]


def _value(key: str, kind: Any, text: str) -> Any:
    """The text as a value of a type."""
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
        raise TypeError(kind)  # a dict, say: one word is none
    if _is_enum(kind) and text in kind.__members__:
        return kind[text]
    return text if kind is Any else kind(text)


def _wanted(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if _is_enum(kind):
        return f"of type {kind.__name__}, which is one of {', '.join(str(choice.value) for choice in kind)}"
    return f"of type {kind if get_origin(kind) else getattr(kind, '__name__', kind)}"


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
