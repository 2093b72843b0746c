"""Which layers a program loads: it may permit categories, and layers say to which they belong.

A program that permits none by name loads every layer. Else a layer is loaded that has categories, and no other than
permitted ones; where the program is of the system (LSP_SYSTEM), the layer must be so too. For a program that does not
load a layer the catalog is as if the layer had been removed: its chains go on without it.

Sources: categorizing-layered-service-providers-and-applications; nf-ws2spi-wscsetapplicationcategory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from winsock.abi.constants import LAYERED_PROTOCOL, LSP_SYSTEM
from winsock.catalog import mending
from winsock.catalog.entries import Catalog
from winsock.catalog.files import expanded
from winsock.catalog.store import Application


def loads(permitted: int, layer: int) -> bool:
    """Whether a program that permits these categories loads a layer of those."""
    if not layer or layer & ~permitted:
        return False
    return bool(layer & LSP_SYSTEM or not permitted & LSP_SYSTEM)


def permitting(catalog: Catalog, permitted: int | None) -> Catalog:
    """The catalog as a program sees it; None where the program has no categories."""
    if permitted is None:
        return catalog
    kept = [
        entry for entry in catalog if entry.info.chain_length != LAYERED_PROTOCOL or loads(permitted, entry.categories)
    ]
    return Catalog(mending.mended(kept), catalog.next_id)


def of_program(applications: Sequence[Application], path: str, arguments: Sequence[str]) -> int | None:
    """What the program of that executable permits, started with those arguments; None where it has no categories.

    An application that names arguments too comes before one that does not.
    """
    extra = " ".join(arguments)
    same = [application for application in applications if _is_same(application.path, path)]
    for wanted in (extra, None):
        for application in same:
            if application.extra == wanted:
                return application.categories
    return None


def put(applications: Sequence[Application], path: str, extra: str | None, categories: int) -> tuple[Application, ...]:
    """The applications, with categories for one, which is kept by its full path: they come to those that it has."""
    found = find(applications, path, extra)
    if found is None:
        return (*applications, Application(_full(path), extra, categories))
    more = found._replace(categories=found.categories | categories)
    return tuple(more if application is found else application for application in applications)


def find(applications: Sequence[Application], path: str, extra: str | None) -> Application | None:
    """The application of that very path and those arguments."""
    path = _full(path)
    for application in applications:
        if application.extra == extra and _is_same(application.path, path):
            return application
    return None


def _full(path: str) -> str:
    """Where the executable is, wherever this process goes; a path that names environment variables stays as it is."""
    if expanded(path) != path:
        return path
    if os.sep not in path:
        import shutil

        path = shutil.which(path) or path
    return os.path.abspath(path)


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(expanded(one)) == os.path.realpath(expanded(other))
