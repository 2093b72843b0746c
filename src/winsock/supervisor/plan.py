"""What a run will do, decided before anything starts: the chain, the functions it overrides, the calls to be trapped.

A layer that needs what `winsock run` does not carry is refused here, with the reason, rather than run as if it worked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from winsock.abi import options
from winsock.abi.constants import LAYERED_PROTOCOL
from winsock.catalog.entries import Catalog, CatalogEntry, LayerSpec
from winsock.dispatcher import loader
from winsock.spi.layer import Layer, is_stream, overridden, overrides
from winsock.spi.provider import FUNCTIONS
from winsock.supervisor import filter
from winsock.supervisor.filter import Rule

if TYPE_CHECKING:
    from winsock.spi.stream import StreamLayer

NOT_YET_CARRIED = {
    "WSPSend": "sends",
    "WSPRecv": "receives",
    "WSPSendTo": "datagrams sent",
    "WSPRecvFrom": "datagrams received",
}
"""Functions that system calls stand for, which this version does not take from a program."""

RELAYING = frozenset(
    {"WSPAccept", "WSPConnect", "WSPGetPeerName", "WSPGetSockName", "WSPGetSockOpt", "WSPSetSockOpt", "WSPShutdown"}
)
"""What a layer that gets the bytes of connections takes part in, so that they go through a relay."""

BY_RELAY = frozenset({"WSPSend", "WSPRecv", "WSPCloseSocket", "WSPIoctl"})
"""What a relay calls of a layer that makes handles of its own."""
PUMPED = LayerSpec("relay", "winsock.supervisor.relaying.by_table:Everything")
"""What stands above such layers."""

_SEEING_SOCKETS = frozenset({*FUNCTIONS, "closed", "adopted", "accepted"})
LIFE_HOOKS = ("adopted", "closed", "process_ended", "process_started")
"""The hooks that no call of the program stands for: they want to be told of every socket that has a connection."""
_MEETING = frozenset({"WSPConnect", "WSPAccept"})
"""What is reported so that every such socket is met."""
BYTE_HOOKS = ("outgoing", "incoming", "outgoing_ended", "incoming_ended", "passed")
"""The hooks of a `StreamLayer`, which on another class are never called."""
_COROUTINE_OR_GENERATOR = 0x80 | 0x20 | 0x200
"""Of co_flags: code that a call makes ready, and does not run."""
_INSTEAD = {"WSPCloseSocket": " (use the hook `closed`)"}


class PlanError(Exception):
    """The chain cannot run; the text says why and what to do."""


class PlannedLayer(NamedTuple):
    """One layer of the chain, the uppermost first."""

    spec: LayerSpec
    kind: type[Layer] | type[StreamLayer]
    functions: frozenset[str]

    @property
    def gets_bytes(self) -> bool:
        """Whether the layer gets the bytes of connections, so that they go through a relay."""
        return is_stream(self.kind) or self.makes_handles

    @property
    def makes_handles(self) -> bool:
        """Whether the layer is a provider with handles of its own, reached by its table alone."""
        return issubclass(self.kind, Layer) and not self.kind.ifs_handles

    def overrides(self, name: str) -> bool:
        """Whether the layer has a function or hook of a `Layer`."""
        return issubclass(self.kind, Layer) and overrides(self.kind, name)

    @property
    def life_hooks(self) -> list[str]:
        """The hooks of the layer's that tell of the life of a socket or a process."""
        return [hook for hook in LIFE_HOOKS if self.overrides(hook)]

    @property
    def counts(self) -> bool:
        """Whether the layer wants to know what a closed socket has moved; of a relayed one its driver knows."""
        return self.overrides("closed")

    @property
    def remembers(self) -> bool:
        """Whether the layer sees handles, or the life of a socket; `connecting` alone sees addresses."""
        return self.gets_bytes or any(self.overrides(name) for name in _SEEING_SOCKETS)

    @property
    def carried(self) -> list[str]:
        """The overridden functions that the program's calls reach."""
        reached = {*filter.CARRIED, *filter.BY_ARGUMENT, *(BY_RELAY if self.makes_handles else ())}
        return sorted(name for name in self.functions if name in reached)

    @property
    def not_called(self) -> list[str]:
        """The overridden functions that no system call stands for."""
        return sorted(self.functions - set(self.carried))

    @property
    def idle(self) -> bool:
        """Whether nothing of the layer is ever called."""
        return not (self.gets_bytes or self.functions or self.life_hooks or self.overrides("run_ended"))

    @property
    def idle_text(self) -> str:
        """Why, for the author of the layer, who meant something by it."""
        known = [name for name in dir(Layer) if not name.startswith(("_", "WSP"))]
        own = [name for name, what in vars(self.kind).items() if callable(what) and not name.startswith("_")]
        text = "has none of a layer's hooks and functions, so nothing of it is called"
        if own:
            from difflib import get_close_matches

            meant = [(name, near[0]) for name in own if (near := get_close_matches(name, known, 1))]
            text += "".join(f"; is {name} meant to be {hook}?" for name, hook in meant)
        return text

    @property
    def not_called_text(self) -> str:
        """The same in words, with what to do instead."""
        return ", ".join(name + _INSTEAD.get(name, "") for name in self.not_called)


class Plan(NamedTuple):
    """A chain, ready to run."""

    layers: tuple[PlannedLayer, ...]
    catalog: Catalog
    functions: frozenset[str]
    rules: tuple[Rule, ...]
    options: dict[str, frozenset[tuple[int, int]]]
    """For getsockopt and setsockopt, the (level, option) pairs of the host that the chain asks for."""

    @property
    def remembers(self) -> bool:
        """Whether the chain may know a socket again: by its handle, or at its end."""
        return any(layer.remembers for layer in self.layers)

    @property
    def relays(self) -> bool:
        """Whether a layer gets the bytes of connections."""
        return any(layer.gets_bytes for layer in self.layers)

    @property
    def by_table(self) -> bool:
        """Whether the relay reaches the bytes by the table of a layer that makes handles of its own."""
        return any(layer.makes_handles for layer in self.layers)

    @property
    def follows_processes(self) -> bool:
        """Whether a layer wants to know when processes start and end."""
        hooks = ("process_started", "process_ended")
        return any(layer.overrides(hook) for layer in self.layers for hook in hooks)

    def not_called_lines(self) -> list[str]:
        """A line for each layer that overrides functions in vain, or nothing at all."""
        return [
            f"winsock: layer {layer.spec.name}: not called under run: {layer.not_called_text}"
            for layer in self.layers
            if layer.not_called
        ] + [f"winsock: layer {layer.spec.name} {layer.idle_text}" for layer in self.layers if layer.idle]


def make(specs: Sequence[LayerSpec]) -> Plan:
    """The plan for these layers, the first uppermost. `PlanError`; `WinsockError` for too many, or a bad import."""
    layers = [_planned(spec) for spec in specs]
    catalog = Catalog().with_layers(specs)
    entries = [entry for entry in catalog if entry.info.chain_length == LAYERED_PROTOCOL]
    return _made(_with_relay(catalog, entries, layers), layers)


def _with_relay(catalog: Catalog, entries: Sequence[CatalogEntry], layers: Sequence[PlannedLayer]) -> Catalog:
    """Put a relay above the uppermost layer that gets bytes, where one of them makes handles of its own."""
    if not any(layer.makes_handles for layer in layers):
        return catalog
    from winsock.catalog.install import stand_above

    pairs = zip(entries, layers, strict=True)
    return stand_above(catalog, PUMPED, {entry.info.dwCatalogEntryId for entry, of in pairs if of.gets_bytes})


def of_catalog(catalog: Catalog) -> Plan | None:
    """The plan for what is installed: the layers over what a socket gets; None where there are none.

    Errors as for `make`.
    """
    from winsock.catalog.using import layers_in_use

    entries = layers_in_use(catalog)
    specs = [LayerSpec(entry.info.szProtocol, entry.path, entry.options) for entry in entries]
    layers = [_planned(spec, entry.digest) for spec, entry in zip(specs, entries, strict=True)]
    return _made(_with_relay(catalog, entries, layers), layers) if layers else None


def _made(catalog: Catalog, layers: Sequence[PlannedLayer]) -> Plan:
    functions = frozenset().union(*(layer.functions for layer in layers))
    if any(layer.makes_handles for layer in layers):
        functions = (functions | RELAYING) - {"WSPSocket"}
    get, set = _host_pairs(layers, "WSPGetSockOpt"), _host_pairs(layers, "WSPSetSockOpt")
    reported = functions | _MEETING if any(layer.life_hooks for layer in layers) else functions
    rules = filter.rules_for(reported, get, set, counts=any(layer.counts for layer in layers))
    wanted = {"getsockopt": frozenset(get), "setsockopt": frozenset(set)}
    return Plan(tuple(layers), catalog, functions, tuple(rules), wanted)


def _planned(spec: LayerSpec, digest: str = "") -> PlannedLayer:
    kind = loader.resolve(spec.path, digest)
    if not isinstance(kind, type) or not (issubclass(kind, Layer) or is_stream(kind)):
        raise PlanError(
            f"{spec.path} is not a subclass of winsock.Layer or winsock.StreamLayer; "
            "winsock run takes no other providers"
        )
    for name in _never_run(kind):
        raise PlanError(
            f"layer {spec.name}: {name} is async, or has a yield, and would never run: a plain def is wanted"
        )
    functions = RELAYING if is_stream(kind) else overridden(kind)
    refusal = _refusal(kind, functions)
    if refusal:
        raise PlanError(f"layer {spec.name} {refusal}; this version of winsock run cannot carry that")
    return PlannedLayer(spec, kind, functions)


def _never_run(kind: type[Layer] | type[StreamLayer]) -> list[str]:
    """The hooks and functions whose code a call does not run."""
    base: type = Layer
    if is_stream(kind):
        from winsock.spi.stream import StreamLayer

        base = StreamLayer
    codes = {name: getattr(getattr(kind, name), "__code__", None) for name in dir(base) if not name.startswith("_")}
    return [name for name, code in codes.items() if code is not None and code.co_flags & _COROUTINE_OR_GENERATOR]


def _refusal(kind: type, functions: Iterable[str]) -> str | None:
    if getattr(kind, "enforces", False):
        return "must not be bypassed (enforces = True)"
    hooks = [hook for hook in BYTE_HOOKS if hasattr(kind, hook) and not is_stream(kind)]
    if hooks:
        return f"has {', '.join(hooks)} and is no winsock.StreamLayer"
    if issubclass(kind, Layer) and not kind.ifs_handles:
        return None  # its data functions are called by the relay
    wanted = [f"{name} ({NOT_YET_CARRIED[name]})" for name in sorted(functions) if name in NOT_YET_CARRIED]
    return f"overrides {', '.join(wanted)}" if wanted else None


def _host_pairs(layers: Iterable[PlannedLayer], function: str) -> list[tuple[int, int]]:
    """The host's (level, option) of the rows that these layers want with this function."""
    pairs: dict[tuple[int, int], None] = {}
    for layer in layers:
        if layer.gets_bytes:
            pairs.update(dict.fromkeys(_relayed_pairs(function)))
        elif function in layer.functions:
            for row in _rows(layer):
                if row.host_level is not None and row.host_optname is not None:
                    pairs[row.host_level, row.host_optname] = None
    return list(pairs)


def _relayed_pairs(function: str) -> Sequence[tuple[int, int]]:
    from winsock.supervisor.relaying import carried

    return carried.GET if function == "WSPGetSockOpt" else carried.SET


def _rows(layer: PlannedLayer) -> list[options.Option]:
    """The rows that a layer names; all that the host knows, where it names none."""
    named = getattr(layer.kind, "sockopts", ())
    rows = [options.find(level, optname) for level, optname in named] if named else list(options.ROWS)
    missing = [pair for pair, row in zip(named, rows, strict=False) if row is None or row.host_optname is None]
    if missing:
        raise PlanError(f"layer {layer.spec.name} names socket options that this host does not have: {missing}")
    return [row for row in rows if row is not None and row.host_optname is not None]
