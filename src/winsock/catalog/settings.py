"""The options of a layer as text, "volume=11,names=yes": how they are typed, how they are kept, and what they mean.

A layer's Options is a dataclass; the types of its fields say what a text becomes. An option that repeats,
"port=80,port=443", fills a list, a set, or a tuple of any length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Any, ClassVar, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

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
    fields = field_types(options)
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if key not in fields:
            raise NoSuchOption(key, list(fields))
        kind = _present(fields[key])
        if not equals:
            text = _without_value(key, kind)
        if _is_many(kind):
            values[key] = [*values.get(key, ()), _value(key, _each(kind), text)]
        else:
            values[key] = _value(key, fields[key], text)
    for key in values:
        kind = _present(fields[key])
        if _is_many(kind):
            values[key] = (get_origin(kind) or kind)(values[key])
    try:
        return options(**values)
    except Exception as error:  # what somebody else's class may raise at will
        plain = isinstance(error, (TypeError, ValueError)) and str(error)
        raise ValueError(str(error) if plain else f"{type(error).__name__}: {error}") from error


def field_types(options: type) -> Mapping[str, Any]:
    """The fields of an options dataclass that can be set, and their types; ValueError where a type cannot be read."""
    fields = getattr(options, "__dataclass_fields__", {})
    try:
        hints = get_type_hints(options) if fields else {}
    except Exception as error:  # a type is text, and may say anything
        raise ValueError(f"the types of the options of {options.__qualname__} cannot be read: {error}") from error
    kinds = {name: hints.get(name, str) for name, field in fields.items() if field.init}
    return {name: _plain(kind) for name, kind in kinds.items() if get_origin(kind) is not ClassVar}


def wanted(kind: Any) -> str:
    """What may be typed for a value of a type: its name, and where there is a choice, that."""
    return " or ".join(dict.fromkeys(_wanted(one) for one in _alternatives(kind)))


def choices(kind: Any) -> tuple[str, ...]:
    """The words that may be typed, where a type is a choice or several of one; else none."""
    kind = _present(kind)
    if _is_many(kind):
        return choices(_each(kind))
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    return tuple(map(word_of, kind)) if _is_enum(kind) else ()


def word_of(choice: Enum) -> str:
    """What is typed for a member of an enumeration."""
    return choice.value if isinstance(choice.value, str) else choice.name


def _plain(kind: Any) -> Any:
    """The type beneath a NewType."""
    return getattr(kind, "__supertype__", kind)


def _alternatives(kind: Any) -> list[Any]:
    """The types that a value may have, None apart."""
    if get_origin(kind) in (Union, UnionType):
        return [_plain(part) for part in get_args(kind) if part is not type(None)]
    return [kind]


def _present(kind: Any) -> Any:
    """The type of a field; of an optional one, of what it may be."""
    return _alternatives(kind)[0]


def _is_many(kind: Any) -> bool:
    """Whether a field holds several values of a type: its option may repeat."""
    origin = get_origin(kind) or kind
    return origin in (list, set, frozenset) or (origin is tuple and get_args(kind)[1:] == (...,))


def _each(kind: Any) -> Any:
    return _plain((*get_args(kind), str)[0])


def _without_value(key: str, kind: Any) -> str:
    """What an option without "=" means: yes."""
    if kind not in (bool, Any):
        example = (*choices(kind), "VALUE")[0]
        raise ValueError(f"{key} wants a value, {key}={example}: {_wanted(_each(kind) if _is_many(kind) else kind)}")
    return "true"


def _value(key: str, kind: Any, text: str) -> Any:
    """The text as a value of a type, or of the first of several that takes it."""
    for one in _alternatives(kind):
        try:
            return _as(one, text)
        except Exception:  # a type of somebody else's refuses as it likes
            continue
    raise ValueError(f"{key}={text!r} is not {wanted(kind)}")


def _as(kind: Any, text: str) -> Any:
    if kind is bool:
        return _TRUTHS[text.lower()]
    if get_origin(kind) is Literal:
        return {str(choice): choice for choice in get_args(kind)}[text]
    if get_origin(kind) is not None:
        raise TypeError(kind)  # a dict, say: one word is none
    if _is_enum(kind):
        return kind[text] if text in kind.__members__ else next(choice for choice in kind if text == str(choice.value))
    if kind is bytes:
        return text.encode()
    return text if kind is Any else kind(text)


def _wanted(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(choices(kind))}"
    if _is_enum(kind):
        return f"of type {kind.__name__}, which is one of {', '.join(choices(kind))}"
    if kind is bool:
        return "of type bool, which is yes or no"
    return f"of type {kind if get_origin(kind) else getattr(kind, '__name__', kind)}"


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
