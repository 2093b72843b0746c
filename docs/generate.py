"""Writes docs/map.md and docs/signatures.md from the tables of `winsock.abi` and from what the packages really hold.

    python docs/generate.py           write both
    python docs/generate.py --check   exit 1 if one of them is not current

The tables know what Windows has; whether we have it is asked of the packages at the moment of writing: a function of
the API works if a module of `winsock.api` defines it, a WSP function if the built-in base provider overrides it, an
upcall if the dispatcher does; and it is refused if its row in `winsock.dispatcher.refusing`, or `ALWAYS`, names the
error that it always answers. So nothing here can claim more than there is. Which documented errors a function raises
is read from what the tests prove (`tests/spec/coverage.py`).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import winsock
from winsock.abi import calls, constants, errors, flags, guids, ioctls, ntstatus, options, structures, wskdefs
from winsock.abi.calls import Call

HERE = Path(__file__).parent
ROOT = Path(winsock.__file__).parents[2]
GENERATED = "<!-- Written by docs/generate.py: do not edit, run `make docs`. -->"

WORKS, REFUSED, NOT_YET, NOT_NEEDED = "works", "refused", "not yet", "not needed"

PARTS = {
    "api": "The socket API",
    "api-extension": "Extensions: Mswsock, registered I/O, nspapi",
    "spi-transport": "Transport providers (WSP)",
    "spi-upcall": "Upcalls (WPU)",
    "spi-config": "Configuration (WSC)",
    "spi-namespace": "Name-space providers (NSP)",
    "wsk-registration": "Winsock Kernel: registration",
    "wsk-provider": "Winsock Kernel: the provider's functions",
    "wsk-client-event": "Winsock Kernel: a client's callbacks",
}

PYTHON_HAS_IT = {
    "FD_CLR": "a set of sockets is a list of handles",
    "FD_ISSET": "a set of sockets is a list of handles",
    "FD_SET": "a set of sockets is a list of handles",
    "FD_ZERO": "a set of sockets is a list of handles",
    "__WSAFDIsSet": "a set of sockets is a list of handles",
}

CALLED_BY = {
    "LPCONDITIONPROC": "WSAAccept",
    "LPWSAOVERLAPPED_COMPLETION_ROUTINE": "WPUCompleteOverlappedRequest",
    "LPLOOKUPSERVICE_COMPLETION_ROUTINE": "GetAddrInfoExW",
    "LPBLOCKINGCALLBACK": "WPUQueryBlockingCallback",
    "LPWSAUSERAPC": "WPUQueueApc",
}
"""A callback is there if what calls it is."""

ALWAYS = {
    "WSAGetOverlappedResult": errors.WSA_INVALID_PARAMETER,
    "WSPGetOverlappedResult": errors.WSAEINVAL,
    "WPUCompleteOverlappedRequest": errors.WSAEINVAL,
}
"""What those functions of overlapped I/O answer that reach, or are, one of a built-in provider or the dispatcher."""

FOR_NAMES = {
    "WSAConnectByName": "host and port in numbers; WSAEHOSTUNREACH for names",
    "getnameinfo": "numeric forms; WSAHOST_NOT_FOUND with NI_NAMEREQD",
}
"""What works without a name-space provider, and what does not."""

LEVELS = {
    constants.SOL_SOCKET: "SOL_SOCKET",
    constants.IPPROTO_TCP: "IPPROTO_TCP",
    constants.IPPROTO_UDP: "IPPROTO_UDP",
    constants.IPPROTO_IP: "IPPROTO_IP",
    constants.IPPROTO_IPV6: "IPPROTO_IPV6",
    constants.SOL_IP: "SOL_IP",
    constants.SOL_IPV6: "SOL_IPV6",
    constants.SOL_RFCOMM: "SOL_RFCOMM",
    constants.IPPROTO_RM: "IPPROTO_RM",
    constants.NSPROTO_IPX: "NSPROTO_IPX",
    constants.HV_PROTOCOL_RAW: "HV_PROTOCOL_RAW",
    constants.SOL_IRLMP: "SOL_IRLMP",
}

HOST_LEVELS = {0: "IPPROTO_IP", 1: "SOL_SOCKET", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 41: "IPPROTO_IPV6"}
FAMILIES = {
    constants.AF_INET: "AF_INET",
    constants.AF_INET6: "AF_INET6",
    constants.AF_UNIX: "AF_UNIX",
    constants.AF_HYPERV: "AF_HYPERV",
}
TYPES = {constants.SOCK_STREAM: "SOCK_STREAM", constants.SOCK_DGRAM: "SOCK_DGRAM", constants.SOCK_RAW: "SOCK_RAW"}

_RAW_NOTE = "hidden; needs CAP_NET_RAW, without it WSAEACCES; a protocol must be named"
_PORTS_NOTE = "ports that nobody chose are of net.ipv4.ip_local_port_range, on Windows of 49152 to 65535"
_TCP_NOTE = (
    "a full backlog is *host*: who connects waits, where Windows answers WSAECONNREFUSED; so is a reset: what had come "
    f"before it can be received; {_PORTS_NOTE}"
)
_UDP_NOTE = f"what had come before connect is received, whoever sent it; {_PORTS_NOTE}"
PROTOCOL_NOTES = {
    (constants.AF_INET, constants.SOCK_STREAM): _TCP_NOTE,
    (constants.AF_INET6, constants.SOCK_STREAM): _TCP_NOTE,
    (constants.AF_INET, constants.SOCK_DGRAM): _UDP_NOTE,
    (constants.AF_INET6, constants.SOCK_DGRAM): _UDP_NOTE,
    (constants.AF_INET, constants.SOCK_RAW): _RAW_NOTE,
    (constants.AF_INET6, constants.SOCK_RAW): _RAW_NOTE,
    (constants.AF_UNIX, constants.SOCK_STREAM): "a close with SO_LINGER 0 resets only where data is unread",
    (constants.AF_HYPERV, constants.SOCK_STREAM): (
        "over AF_VSOCK; a service is HV_GUID_VSOCK_TEMPLATE with a port. The tests of transfer need the kernel's "
        "vsock loopback (`winsock doctor`), and have run nowhere yet; between machines nothing is tested"
    ),
}
"""What is to be known of a protocol, by family and type."""

NO_ENGINE = """
There are no overlapped operations yet: a built-in provider that is given an overlapped structure answers WSAEOPNOTSUPP.
A provider of one's own may have some: it is told the calling thread, and what it queues to that by WPUQueueApc runs
when the thread waits alertably.
"""


class Live(NamedTuple):
    """Something that is really there."""

    place: str
    """The module, or the class, that it is found in."""
    function: Callable[..., Any]


def live_functions() -> dict[str, Live]:
    """What the packages hold, by its name here."""
    return {**live_api(), **live_provider(), **live_upcalls()}


def live_api() -> dict[str, Live]:
    """The functions that the modules of `winsock.api` define."""
    package = importlib.import_module("winsock.api")
    found = {}
    for info in pkgutil.iter_modules(package.__path__, "winsock.api."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == info.name and not name.startswith("_"):
                found[name] = Live(info.name, value)
    return found


def live_provider() -> dict[str, Live]:
    """The functions of the contract that the provider of the first built-in entry does not leave as they are."""
    entries = importlib.import_module("winsock.catalog.entries")
    contract = importlib.import_module("winsock.spi.provider").Provider
    module, _, name = entries.BUILTIN[0].path.partition(":")
    provider = getattr(importlib.import_module(module), name)
    return overridden(contract, provider, "WSP", "winsock.spi.provider.Provider")


def live_upcalls() -> dict[str, Live]:
    """The upcalls that the dispatcher does not leave as they are."""
    contract = importlib.import_module("winsock.spi.upcalls").Upcalls
    dispatcher = importlib.import_module("winsock.dispatcher.upcalls").ChainUpcalls
    return overridden(contract, dispatcher, "WPU", "winsock.spi.upcalls.Upcalls")


def overridden(contract: type, worker: type, prefix: str, place: str) -> dict[str, Live]:
    """The functions of a contract that a class really does."""
    return {
        name: Live(place, stub)
        for name, stub in vars(contract).items()
        if name.startswith(prefix) and getattr(worker, name, stub) is not stub
    }


def status(call: Call, live: dict[str, Live]) -> str:
    """Whether a function is there."""
    if call.name in PYTHON_HAS_IT:
        return NOT_NEEDED
    if refusal(call) is not None:
        return REFUSED
    caller = calls.find(CALLED_BY.get(call.name, ""))
    if caller and refusal(caller) is not None:
        return NOT_YET  # nobody calls it
    return WORKS if (caller.function if caller else call.function) in live else NOT_YET


def refusal(call: Call) -> int | None:
    """The error that a function always answers."""
    row = importlib.import_module("winsock.dispatcher.refusing").REFUSALS.get(call.function)
    return row.code if row else ALWAYS.get(call.function)


def status_text(call: Call, live: dict[str, Live]) -> str:
    """The status, with what is to be known of it."""
    found = status(call, live)
    if found == REFUSED:
        note = errors.name_of(refusal(call) or 0)
    else:
        note = PYTHON_HAS_IT.get(call.name) or FOR_NAMES.get(call.function, "")
    return f"{found}: {note}" if note else found


# The map


def map_text() -> str:
    """docs/map.md."""
    live = live_functions()
    sections = [map_head(live), protocol_section()]
    sections += [function_section(part, live) for part in PARTS]
    sections += [flag_section(), *option_sections(), ioctl_section(), error_section(), coverage_section()]
    sections.append(names_section())
    return "\n\n".join(sections) + "\n"


def map_head(live: dict[str, Live]) -> str:
    """What the words mean, and how far we are."""
    counts = []
    for part, title in PARTS.items():
        of_part = [call for call in calls.ROWS if call.part == part]
        found = Counter(status(call, live) for call in of_part)
        there = found[WORKS] + found[NOT_NEEDED]
        counts.append((title, str(there), str(found[REFUSED]), str(len(of_part))))
    no_engine = NO_ENGINE if "WSAGetOverlappedResult" in ALWAYS else ""
    return f"""\
# The map

{GENERATED}

Every name of Windows Sockets 2, where it is here, and how far it is.

- *works*: it is here; its signature is in [signatures.md](signatures.md)
- *refused*: it is here, checks its arguments and answers the documented error that is named, which is true: no
  name-space provider is installed, and no overlapped operation is under way
- *not yet*: it is not here
- *not needed*: Python has it
{no_engine}
Where Linux and Windows differ, a flag, an option or a control code gets one of three answers:

- *host*: what Linux does, described
- *emulated*: done here as Windows documents it
- *refused*: the documented error for what is not supported

A handle is a real file descriptor, and plain `read`, `write` and `poll` work on it. One difference from Windows: the
number of a handle that a provider made by WPUCreateSocketHandle holds a placeholder, on which `read` and `write` fail
at once with EBADF, until `winsock.as_file` makes it a file for good; a stream that is connected can be one. Until then
only the functions of Winsock work on it. An entry with such handles never carries XP1_IFS_HANDLES.

{table(("Part", "There", "Refused", "On Windows"), counts)}"""


def protocol_section() -> str:
    """The base protocols of the catalog."""
    entries = importlib.import_module("winsock.catalog.entries").BUILTIN
    rows = [
        (
            str(info.dwCatalogEntryId),
            info.szProtocol,
            FAMILIES[info.iAddressFamily],
            TYPES[info.iSocketType],
            PROTOCOL_NOTES.get((info.iAddressFamily, info.iSocketType), ""),
        )
        for info in (entry.info for entry in entries)
    ]
    return "## Protocols\n\n" + table(("Entry", "Protocol", "Family", "Type", "Note"), rows)


def function_section(part: str, live: dict[str, Live]) -> str:
    """The functions of one part."""
    rows = [
        (
            f"[{call.name}]({call.url})" + (f" ({call.status})" if call.status != "current" else ""),
            f"`{live[call.function].place}`" if call.function in live else "",
            call.spi,
            call.prologue,
            status_text(call, live),
        )
        for call in calls.ROWS
        if call.part == part
    ]
    return f"## {PARTS[part]}\n\n" + table(("Windows", "Here", "SPI function", "Checked before", "Status"), rows)


def flag_section() -> str:
    """The flags of what is here."""
    rows = [(flag.name, f"0x{flag.value:X}", flag.functions, flag.host, flag.note) for flag in flags.ROWS]
    head = "## Flags\n\nFlags of functions that are not here yet are not listed.\n\n"
    return head + table(("Flag", "Value", "Functions", "Answer", "Note"), rows)


def option_sections() -> Iterator[str]:
    """The options, level by level."""
    yield (
        "## Options\n\n*Relay*: carried over to the outer socket where a relay stands between a program and its peer. "
        "*Linux*: level and number there."
    )
    for level, title in LEVELS.items():
        rows = [option_row(option) for option in options.ROWS if option.level == level]
        yield f"### {title}\n\n" + table(
            ("Option", "Number", "Type", "Access", "Answer", "Linux", "Relay", "Note"), rows
        )


def option_row(option: options.Option) -> tuple[str, ...]:
    """One option."""
    access = "get, set" if option.get and option.set else "get" if option.get else "set"
    by = f" ({option.answered_by})" if option.answered_by != "base" else ""
    host = "" if option.host_level is None else f"{HOST_LEVELS[option.host_level]} {option.host_optname}"
    relay = "yes" if option.relay else ""
    return option.name, f"0x{option.optname:X}", option.type, access, option.host + by, host, relay, option.note


def ioctl_section() -> str:
    """The control codes."""
    rows = [
        (row.name, f"0x{row.code:08X}", row.takes, row.gives, "yes" if row.overlapped else "", row.host, row.note)
        for row in (*ioctls.ROWS, *ioctls.WRAPPED)
    ]
    return "## Control codes\n\n" + table(("Code", "Number", "Takes", "Gives", "Waits", "Answer", "Note"), rows)


def error_section() -> str:
    """The error table, and the way back from the kernel's errors."""
    names = {value: name for name, value in vars(ntstatus).items() if name.startswith("STATUS_")}
    rows = [(row.name, str(row.code), row.errno, names[row.status], row.text) for row in errors.ROWS]
    back = [(host, errors.name_of(code)) for host, code in errors.FROM_HOST.items()]
    return (
        "## Errors\n\nAn error of the kernel keeps its number; one that a layer or we ourselves raise gets the errno "
        "of its row.\n\n"
        + table(("Code", "Number", "errno", "NTSTATUS", "Text"), rows)
        + "\n\nErrors of the kernel become the code of their own name, and these:\n\n"
        + table(("errno", "Code"), back)
    )


def coverage_section() -> str:
    """What the tests prove of the documented errors."""
    sys.path.insert(0, str(ROOT))
    coverage = importlib.import_module("tests.spec.coverage")
    of = coverage.counts()
    total = table(
        ("Tested", "Mapped", "Cannot occur here", "For later", "Documented"),
        [(*map(str, of.values()), str(sum(of.values())))],
    )
    reasons = table(("Reason", "An error cannot occur here because"), coverage.REASONS.items())
    later = "\n".join(
        f"- {what}: {', '.join(dict.fromkeys(call.name for call in functions))}" for what, functions in coverage.later()
    )
    return f"""\
## Documented errors

Of the parts *{"*, *".join(PARTS[part] for part in coverage.PARTS)}*. An error that the documentation of a function
lists is *tested* (a test raises it), *mapped* (the kernel can give it, and the tests make the kernel give it: the errno
and the system call are named), or it *cannot occur here*, for a reason. What a function raises only once it does more
than today is *for later*; these are the functions:

{later}

{total}

{reasons}

{table(("Function", "Tested", "Mapped", "Cannot occur here", "For later"), coverage_rows(coverage))}"""


def coverage_rows(coverage: Any) -> Iterator[tuple[str, ...]]:
    """One row a function: what is tested, mapped by which errno of which system call, for which reason impossible."""
    documented: dict[str, list[Any]] = {}
    for row in coverage.in_scope():
        documented.setdefault(row.name, []).append(row)
    for name, rows in documented.items():
        cells: dict[str, list[str]] = {
            state: [] for state in (coverage.TESTED, coverage.MAPPED, coverage.IMPOSSIBLE, coverage.FOR_LATER)
        }
        for row in rows:
            state = coverage.state_of(row)
            what = row.code_name + (f" ({row.where})" if row.where != "call" else "")
            bare = state.state in (coverage.TESTED, coverage.FOR_LATER)
            cells[state.state].append(what if bare else f"{what}: {state.why}")
        yield name, *(", ".join(cell) for cell in cells.values())


def names_section() -> str:
    """Where everything else is."""
    rows = [
        ("Constants", "winsock.abi.constants", count_of(constants, int)),
        ("Error codes", "winsock.abi.errors", count_of(errors, int)),
        ("NTSTATUS values", "winsock.abi.ntstatus", count_of(ntstatus, int)),
        ("Values of Winsock Kernel", "winsock.abi.wskdefs", count_of(wskdefs, int)),
        ("GUIDs", "winsock.abi.guids", count_of(guids, guids.GUID)),
        ("Structures, 64-bit and 32-bit", "winsock.abi.structures", count_of(structures, type(structures.GUID))),
    ]
    return "## Other names\n\n" + table(("What", "Module", "Names"), [(a, f"`{b}`", c) for a, b, c in rows])


def count_of(module: object, kind: type) -> str:
    """How many public names of a type a module has."""
    return str(sum(isinstance(value, kind) for name, value in vars(module).items() if not name.startswith("_")))


# The signatures


def signatures_text() -> str:
    """docs/signatures.md."""
    live = live_functions()
    modules = sorted({place.place for place in live.values() if place.place.startswith("winsock.api.")})
    sections = [
        f"# Signatures\n\n{GENERATED}\n\n"
        "Every function that is here, as it is called: in-parameters in documented order, out-parameters as the "
        "result, no lengths of buffers, no lpErrno. What fails raises a `WinsockError`."
    ]
    for module in modules:
        rows = {name: one for name, one in live.items() if one.place == module and is_documented(name)}
        if rows:
            sections.append(signature_section(f"`{module}`", importlib.import_module(module).__doc__, rows))
    for place, title in (
        ("winsock.spi.provider.Provider", "Transport providers"),
        ("winsock.spi.upcalls.Upcalls", "Upcalls"),
    ):
        rows = {name: one for name, one in live.items() if one.place == place}
        sections.append(signature_section(f"{title}: `{place}`", None, rows))
    return "\n\n".join(sections) + "\n"


def is_documented(function: str) -> bool:
    """Whether Windows has a function of this name."""
    return any(call.function == function for call in calls.ROWS)


def signature_section(title: str, doc: str | None, rows: dict[str, Live]) -> str:
    """The functions of one place."""
    parts = [f"## {title}"]
    if doc:
        parts.append(first_line(doc))
    for name in sorted(rows, key=str.lower):
        function = rows[name].function
        parts.append(f"```python\n{name}{signature(function)}\n```\n\n{first_line(inspect.getdoc(function) or '')}")
    return "\n\n".join(parts)


def signature(function: Callable[..., Any]) -> str:
    """Parameters and result as the source has them, on one line where they fit."""
    found = inspect.signature(function)
    shown = [
        parameter_text(parameter) for parameter in found.parameters.values() if parameter.name not in ("self", "cls")
    ]
    for index, parameter in enumerate(found.parameters.values()):
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            shown.insert(index, "*")
            break
    result = "" if found.return_annotation is found.empty else f" -> {annotation(found.return_annotation)}"
    line = f"({', '.join(shown)}){result}"
    if len(line) <= 100:
        return line
    return "(\n" + "".join(f"    {one},\n" for one in shown) + f"){result}"


def parameter_text(parameter: inspect.Parameter) -> str:
    """One parameter: "flags: int = 0"."""
    text = parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {annotation(parameter.annotation)}"
    return text if parameter.default is parameter.empty else f"{text} = {parameter.default!r}"


def annotation(value: object) -> str:
    """A type as the source spells it."""
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def first_line(doc: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(doc.strip().split("\n\n", 1)[0].split())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main(arguments: list[str]) -> int:
    """Write, or check."""
    texts = {"map.md": map_text(), "signatures.md": signatures_text()}
    if arguments not in ([], ["--check"]):
        print("usage: python docs/generate.py [--check]", file=sys.stderr)
        return 2
    stale = []
    for name, text in texts.items():
        path = HERE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not arguments:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/{name} is not current: run `make docs`" if arguments else f"docs/{name} written")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
