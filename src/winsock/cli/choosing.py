"""From `--layer NAME[,option=value]...` to a layer and its options.

NAME is a layer of ours or of a package (entry points of the group `winsock.layers`), an import path
`package.module:Class`, or a file `./mine.py`, `./mine.py:Class` where it holds several.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from winsock.abi.errors import WinsockError
from winsock.catalog import files, settings
from winsock.catalog.entries import LayerSpec
from winsock.cli.words import UsageError, nearest_first
from winsock.dispatcher import loader
from winsock.spi.layer import is_stream

OURS = {"trace": "winsock.layers.trace:Trace"}
"""Layers that come with winsock: found without looking through what is installed."""
GROUP = "winsock.layers"


def choose(text: str, alone: bool = False) -> LayerSpec:
    """The layer that `text` names; `UsageError` where there is none, or where an option is wrong.

    A file may import the modules beside it, as a script does, unless it is to be what it is `alone`.
    """
    name, *given = text.split(",")
    path = _path(name)
    folder = os.path.dirname(files.file_of(path) or "")
    if folder and not alone and folder not in sys.path:
        sys.path.append(folder)
    kind = _load(name, path)
    options = _options(name, kind, given)
    return LayerSpec(getattr(kind, "name", name), path, options, getattr(kind, "ifs_handles", True), is_stream(kind))


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
    raise UsageError(
        f"there is no layer {name!r}{_hint(name)}; there are: {listed} (or a file ./mine.py, or package.module:Class)"
    )


def _hint(name: str) -> str:
    """What may have been meant by a name that is none."""
    if os.path.isfile(name + ".py"):
        return f"; did you mean --layer {name if '/' in name else './' + name}.py?"
    if "." in name.strip(".") and "/" not in name:
        return f"; did you mean a class of that module, --layer {name}:Class?"
    return ""


def _load(name: str, path: str) -> Any:
    try:
        return loader.resolve(path)
    except WinsockError as error:
        raise UsageError(f"--layer {name}: {error.strerror or error}{_missed(path, error)}") from error


def _missed(path: str, error: WinsockError) -> str:
    """What to do where a file has not found a module that is beside it."""
    file, cause = files.file_of(path), error.__cause__
    module = (cause.name or "").partition(".")[0] if isinstance(cause, ModuleNotFoundError) else ""
    beside = os.path.join(os.path.dirname(file or ""), module)
    if not module or file is None or not (os.path.isfile(beside + ".py") or os.path.isdir(beside)):
        return ""
    return f"; an installed file stands alone: make a package of it and {module}, or put both into one file"


def _options(name: str, kind: Any, given: list[str]) -> Any:
    """The layer's options, from its defaults and what was set."""
    try:
        return settings.parse(getattr(kind, "Options", None), given)
    except settings.NoSuchOption as error:
        listed = ", ".join(nearest_first(error.key, error.known)) or "none"
        raise UsageError(f"--layer {name}: there is no option {error.key!r}; there are: {listed}") from error
    except ValueError as error:
        raise UsageError(f"--layer {name}: {error}") from error


def field_types(options: type) -> Mapping[str, Any]:
    """The fields of an options dataclass and their types; `UsageError` where a type is a name that nobody knows."""
    try:
        return settings.field_types(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
