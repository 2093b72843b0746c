"""`winsock catalog audit` and `repair`: problems with what is installed, and what can be done about them."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from typing import Any, NamedTuple

from winsock.abi.constants import BASE_PROTOCOL, LAYERED_PROTOCOL
from winsock.abi.errors import WinsockError
from winsock.catalog import files, layering, mending, store
from winsock.catalog import install as changes
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry
from winsock.catalog.settings import Settings, parse
from winsock.catalog.store import Installed
from winsock.cli.catalog import REFUSED_STATUS, record_of
from winsock.cli.catalog_changes import differences
from winsock.dispatcher import loader
from winsock.spi.layer import is_stream


class Finding(NamedTuple):
    """An entry, and what is wrong with it."""

    view: str
    entry: CatalogEntry
    problems: list[str]


def audit(options: Namespace) -> int:
    """Print every entry with its problems; 1 where there are any."""
    contents = store.read()
    _check_file(contents)
    findings = _findings(contents)
    if options.json:
        import json

        records = [{"view": view, **record_of(entry), "problems": problems} for view, entry, problems in findings]
        print(json.dumps(records, indent=2))
    else:
        _print(findings)
    return REFUSED_STATUS if any(finding.problems for finding in findings) else 0


def repair(options: Namespace) -> int:
    """Mend rights, chains and missing files; 1 where problems are left."""
    for line in _close_to_others():
        print(line)
    _check_file(store.read())
    done: list[str] = []

    def transform(contents: Installed) -> Installed:
        after = contents._replace(native=_mended(contents.native), twin=_mended(contents.twin))
        done[:] = [*differences(contents.native, after.native), *differences(contents.twin, after.twin)]
        done.extend(_closed_files(contents))
        return after if done else contents

    contents = store.change(transform)
    print("\n".join(done) or "nothing was to be mended")
    left = [finding for finding in _findings(contents) if finding.problems]
    _print(left)
    return REFUSED_STATUS if left else 0


# Problems.


def _check_file(contents: Installed) -> None:
    """Raises `WinsockError` where SQLite finds the file damaged."""
    if contents.generation:
        from winsock.catalog import database

        database.check(store.location())


def _findings(contents: Installed) -> list[Finding]:
    """Entry by entry; the catalog of 32-bit programs only where it was ever changed."""
    views = [("native", contents.native)]
    if contents.twin.entries != BUILTIN:
        views.append(("32-bit", contents.twin))
    return [Finding(view, entry, list(_problems(entry, catalog))) for view, catalog in views for entry in catalog]


def _problems(entry: CatalogEntry, catalog: Catalog) -> Iterator[str]:
    """What is wrong with an entry, and what to do."""
    info = entry.info
    if info.chain_length > BASE_PROTOCOL:
        problem = mending.problem_of(catalog, info)
        if problem is not None:
            yield f"{problem}: winsock catalog repair"
        return
    file = files.file_of(entry.path)
    problem = files.problem_of(file, entry.digest) if file and entry.digest else None
    if problem is None:
        problem = _loading_problem(entry)
    if problem is not None:
        yield problem


def _loading_problem(entry: CatalogEntry) -> str | None:
    """Why the provider cannot be imported, or does not take its options."""
    try:
        kind = loader.resolve(entry.path, entry.digest)
        if isinstance(entry.options, Settings):
            parse(getattr(kind, "Options", None), entry.options.text.split(","))
    except WinsockError as error:
        return str(error.strerror)
    except Exception as error:
        text = entry.options.text if isinstance(entry.options, Settings) else ""
        return f"it does not take the options {text!r}: {error}"
    if entry.info.chain_length == LAYERED_PROTOCOL:
        return _handles_problem(entry, kind)
    return None


def _handles_problem(entry: CatalogEntry, kind: Any) -> str | None:
    is_ifs = layering.is_ifs(entry.info)
    is_marked = bool(entry.info.dwServiceFlags2 & layering.STREAMS_ALONE)
    if getattr(kind, "ifs_handles", is_ifs) == is_ifs and (not is_marked or is_stream(kind)):
        return None
    return "its XP1_IFS_HANDLES is not what the layer says: winsock catalog remove it, and install it again"


def _print(findings: list[Finding]) -> None:
    for view, entry, problems in findings:
        mark = "" if view == "native" else f" ({view})"
        state = "; ".join(problems) or "ok"
        print(f"{entry.info.dwCatalogEntryId:>5}{mark}  {entry.info.szProtocol}: {state}")


# Mending.


def _close_to_others() -> Iterator[str]:
    """Take the right to write the catalog from others, as far as it is ours to take."""
    path = store.location()
    if not os.path.exists(path):
        return
    for place in store.places(path):
        if store.distrust(place) is not None and os.stat(place).st_uid == os.geteuid():
            _close(place)
            yield f"others could write {place}, and cannot any more; see what they wrote: winsock catalog show"


def _closed_files(contents: Installed) -> Iterator[str]:
    """The same of files of layers which are still what was installed."""
    for entry in (*contents.native, *contents.twin):
        file = files.file_of(entry.path)
        if file and entry.digest and os.path.exists(file) and store.distrust(file) is not None:
            with open(file, "rb") as source:
                unchanged = files.digest_of(source.read()) == entry.digest
            if unchanged and os.stat(file).st_uid == os.geteuid():
                _close(file)
                yield f"others could write {file}, and cannot any more; it is what was installed"


def _close(place: str) -> None:
    os.chmod(place, os.stat(place).st_mode & 0o7755)


def _mended(catalog: Catalog) -> Catalog:
    """Without providers whose files are gone, and with chains that name only what is there."""
    for entry in list(catalog):
        file = files.file_of(entry.path)
        is_known = any(other.info.ProviderId == entry.info.ProviderId for other in catalog)
        if is_known and entry.info.chain_length <= BASE_PROTOCOL and file and not os.path.exists(file):
            catalog = changes.deinstall(catalog, entry.info.ProviderId)
    return Catalog(layering.with_common_ifs(mending.mended(list(catalog))), catalog.next_id)
