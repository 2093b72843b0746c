"""What a chain of layers asks of the kernel, and what `winsock run` refuses to begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from tests.fakes import RecordingBase
from tests.refusals import refused
from winsock.abi.constants import (
    IPPROTO_TCP,
    MAX_PROTOCOL_CHAIN,
    SO_ERROR,
    SO_EXCLUSIVEADDRUSE,
    SO_RCVBUF,
    SOL_SOCKET,
    TCP_NODELAY,
)
from winsock.abi.errors import WSAEPROVIDERFAILEDINIT, WSANO_RECOVERY
from winsock.abi.options import ROWS
from winsock.abi.sockaddr import Sockaddr
from winsock.catalog.entries import BUILTIN, LayerSpec
from winsock.layers.trace import Trace
from winsock.spi.handles import NonIfsLayer
from winsock.spi.layer import Layer
from winsock.spi.provider import FUNCTIONS, OptionValue, WriteBuffer
from winsock.spi.stats import Stats
from winsock.spi.stream import StreamLayer
from winsock.supervisor import plan as module
from winsock.supervisor.filter import Pairs, Rule
from winsock.supervisor.plan import NOT_YET_CARRIED, Plan, PlanError, make
from winsock.supervisor.relaying import carried

ALWAYS = {"socket", "io_uring_setup"}
RELAYING = {
    *("connect", "sendto", "sendmsg", "sendmmsg", "accept", "accept4", "shutdown"),
    *("getpeername", "getsockname", "getsockopt", "setsockopt"),
}

MEETING = {"connect", "sendto", "sendmsg", "sendmmsg", "accept", "accept4"}


class Nothing(Layer):
    """Overrides nothing."""


class Decides(Layer):
    """Sees addresses."""

    def connecting(self, address: Sockaddr) -> None:
        return None


class Counts(Layer):
    """Wants to know what a closed socket has moved."""

    def closed(self, stats: Stats) -> None:
        pass


class Admits(Layer):
    def accepted(self, address: Sockaddr | None) -> None:
        pass


class Adopts(Layer):
    def adopted(self, handle: int) -> None:
        pass


class Watches(Layer):
    """Only processes and the end."""

    def process_started(self, process: int) -> None:
        pass

    def run_ended(self) -> None:
        pass


class Ends(Layer):
    """Only the end, which comes without any call."""

    def run_ended(self) -> None:
        pass


class InVain(Layer):
    """Overrides what no system call stands for."""

    def WSPCloseSocket(self, s: int) -> None:
        self.next.WSPCloseSocket(s)

    def WSPSelect(self, *arguments: Any) -> Any:
        return self.next.WSPSelect(*arguments)

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        self.next.WSPBind(s, name)


class Reads(Layer):
    sockopts = ((SOL_SOCKET, SO_ERROR), (IPPROTO_TCP, TCP_NODELAY))

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        return self.next.WSPGetSockOpt(s, level, optname)


class Sets(Layer):
    sockopts: ClassVar[tuple[tuple[int, int], ...]] = ((SOL_SOCKET, SO_RCVBUF),)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.next.WSPSetSockOpt(s, level, optname, value)


class SetsAll(Layer):
    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.next.WSPSetSockOpt(s, level, optname, value)


class NamesWhatIsNotThere(Sets):
    sockopts = ((SOL_SOCKET, SO_RCVBUF), (SOL_SOCKET, 0x7777))


class NamesWhatTheHostHasNot(Sets):
    sockopts = ((SOL_SOCKET, SO_EXCLUSIVEADDRUSE),)


class Makes(Layer):
    def WSPSocket(self, *arguments: Any) -> int:
        return self.next.WSPSocket(*arguments)


class MustNotBeBypassed(Decides):
    enforces = True


class Bytes(Layer):
    def outgoing(self, data: bytes) -> bytes:
        return data


class Shouts(StreamLayer):
    """Gets the bytes of connections."""

    def outgoing(self, data: bytes) -> bytes:
        return data.upper()


class OwnHandles(NonIfsLayer):
    """Has handles of its own."""


class Sends(Layer):
    def WSPSend(self, *arguments: Any) -> int | None:
        return self.next.WSPSend(*arguments)


class Receives(Layer):
    def WSPRecv(self, s: int, buffers: Sequence[WriteBuffer], *arguments: Any) -> tuple[int, int] | None:
        return self.next.WSPRecv(s, buffers, *arguments)


class Datagrams(Layer):
    def WSPSendTo(self, *arguments: Any) -> int | None:
        return self.next.WSPSendTo(*arguments)

    def WSPRecvFrom(self, *arguments: Any) -> Any:
        return self.next.WSPRecvFrom(*arguments)


def spec(layer: type) -> LayerSpec:
    return LayerSpec(layer.__name__.lower(), f"{layer.__module__}:{layer.__qualname__}")


def planned(*layers: type) -> Plan:
    return make([spec(layer) for layer in layers])


def trapped(plan: Plan) -> set[str]:
    return {rule.call for rule in plan.rules}


# --- what is trapped -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "calls"),
    [
        ([Nothing], set()),
        ([Ends], set()),
        ([Watches], MEETING),
        ([Adopts], MEETING),
        ([Decides], {"connect", "sendto", "sendmsg", "sendmmsg"}),
        ([Admits], {"accept", "accept4"}),
        ([Counts], MEETING | {"shutdown"}),
        ([Counts, Sets], MEETING | {"shutdown", "setsockopt"}),
        ([InVain], {"bind"}),
        ([Reads], {"getsockopt"}),
        ([Sets], {"setsockopt"}),
        ([Makes], set()),
        ([Admits, Nothing, Sets], {"accept", "accept4", "setsockopt"}),
        ([Shouts], RELAYING),
        ([Shouts, Decides, Shouts], RELAYING),
        ([Trace, Shouts], RELAYING | {"bind", "listen"}),
        ([OwnHandles], RELAYING),
        ([Makes, OwnHandles], RELAYING),
        (
            [Trace],
            {
                "connect",
                "sendto",
                "sendmsg",
                "sendmmsg",
                "bind",
                "listen",
                "accept",
                "accept4",
                "shutdown",
                "getsockopt",
            },
        ),
    ],
    ids=lambda value: ",".join(layer.__name__ for layer in value) if isinstance(value, list) else "",
)
def test_exactly_what_the_layers_need_is_trapped(layers: list[type], calls: set[str]) -> None:
    assert trapped(planned(*layers)) == ALWAYS | calls


def test_the_options_that_layers_name_are_asked_for_in_the_hosts_numbers() -> None:
    plan = planned(Reads, Sets)
    assert plan.options == {"getsockopt": frozenset({(1, 4), (6, 1)}), "setsockopt": frozenset({(1, 8)})}
    assert Rule("getsockopt", Pairs(((1, 4), (6, 1)))) in plan.rules
    assert Rule("setsockopt", Pairs(((1, 8),))) in plan.rules


def test_trace_asks_for_errors_only() -> None:
    assert planned(Trace).options == {"getsockopt": frozenset({(1, 4)}), "setsockopt": frozenset()}


def test_a_layer_that_names_no_options_means_all_that_the_host_has() -> None:
    known = {(row.host_level, row.host_optname) for row in ROWS if row.host_optname is not None}
    assert planned(SetsAll).options["setsockopt"] == known
    assert len(known) > 40


def test_options_that_are_named_without_an_override_are_not_asked_for() -> None:
    class Names(Layer):
        sockopts = ((SOL_SOCKET, SO_ERROR),)

    module_globals = globals()
    module_globals["Names"] = Names
    try:
        assert make([LayerSpec("names", f"{__name__}:Names")]).options == {
            "getsockopt": frozenset(),
            "setsockopt": frozenset(),
        }
    finally:
        del module_globals["Names"]


def test_of_a_relay_only_what_crosses_to_the_network_is_trapped() -> None:
    plan = planned(Shouts)
    assert plan.options == {"getsockopt": frozenset(carried.GET), "setsockopt": frozenset(carried.SET)}
    assert (6, 1) not in plan.options["setsockopt"]  # TCP_NODELAY, which nearly every program sets
    assert plan.relays
    assert not planned(Trace).relays


def test_a_relay_stands_above_what_makes_handles_of_its_own() -> None:
    plan = planned(Trace, Shouts, OwnHandles, Decides)
    names = [plan.catalog.find(entry).info.szProtocol for entry in plan.catalog.entries[0].info.ProtocolChain[1][:-1]]
    assert names == ["trace", "relay", "shouts", "ownhandles", "decides"]
    assert plan.by_table
    assert not planned(Trace, Shouts).by_table
    assert plan.layers[2].not_called == []


# --- what the chain is ---------------------------------------------------------------------------------------------


def test_the_first_layer_is_the_uppermost() -> None:
    plan = planned(Decides, Admits)
    assert [layer.spec.name for layer in plan.layers] == ["decides", "admits"]
    assert [layer.kind for layer in plan.layers] == [Decides, Admits]
    assert plan.functions == {"WSPConnect", "WSPAccept"}
    first = plan.catalog.entries[0].info
    assert first.chain_length == 3
    assert first.ProtocolChain.ChainEntries[-1] == BUILTIN[0].info.dwCatalogEntryId


@pytest.mark.parametrize(
    ("layer", "remembers", "counts"),
    [
        (Nothing, False, False),
        (Watches, False, False),
        (Decides, False, False),
        (Counts, True, True),
        (Admits, True, False),
        (Adopts, True, False),
        (Reads, True, False),
        (Makes, True, False),
        (InVain, True, False),
        (Trace, True, True),
        (Shouts, True, False),
    ],
)
def test_who_may_know_a_socket_again(layer: type, remembers: bool, counts: bool) -> None:
    (only,) = planned(layer).layers
    assert (only.remembers, only.counts) == (remembers, counts)


def test_a_chain_remembers_where_one_layer_does() -> None:
    assert not planned(Decides, Watches).remembers
    assert planned(Decides, Counts).remembers


def test_what_is_not_called_is_said_with_what_to_do_instead() -> None:
    plan = planned(Decides, InVain)
    decides, in_vain = plan.layers
    assert (decides.carried, decides.not_called) == (["WSPConnect"], [])
    assert (in_vain.carried, in_vain.not_called) == (["WSPBind"], ["WSPCloseSocket", "WSPSelect"])
    assert plan.not_called_lines() == [
        "winsock: layer invain: not called under run: WSPCloseSocket (use the hook `closed`), WSPSelect"
    ]


class Mistyped(Layer):
    """Means connecting, and accepted."""

    def conecting(self, address: Sockaddr) -> None: ...

    def on_accepted(self, address: Sockaddr) -> None: ...

    def helps(self) -> None: ...


class Says(Layer):
    """Has a last word."""

    def run_ended(self) -> None: ...


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Nothing, ""),
        (Mistyped, "; is conecting meant to be connecting?; is on_accepted meant to be accepted?"),
    ],
)
def test_a_layer_of_which_nothing_is_called_is_told(layer: type[Layer], said: str) -> None:
    assert planned(layer, Decides).not_called_lines() == [
        f"winsock: layer {layer.name} has none of a layer's hooks and functions, so nothing of it is called{said}"
    ]


@pytest.mark.parametrize("layer", [Says, Counts, Shouts, Makes, Adopts])
def test_a_layer_of_which_something_is_called_is_not(layer: type) -> None:
    assert planned(layer).not_called_lines() == []


# --- what is refused -----------------------------------------------------------------------------------------------


class Awaits(Layer):
    """Would have to be awaited."""

    async def connecting(self, address: Sockaddr) -> None: ...  # type: ignore[override]


class Yields(Layer):
    """Makes a generator."""

    def accepted(self, address: Sockaddr | None) -> Any:
        yield address


class AwaitsBytes(StreamLayer):
    """The same with bytes."""

    async def outgoing(self, data: bytes) -> bytes:  # type: ignore[override]
        return data


@pytest.mark.parametrize(
    ("layer", "name"),
    [(Awaits, "awaits: connecting"), (Yields, "yields: accepted"), (AwaitsBytes, "awaitsbytes: outgoing")],
)
def test_a_hook_that_would_never_run_is_refused(layer: type, name: str) -> None:
    with pytest.raises(PlanError, match=f"{name} is async, or has a yield"):
        planned(layer)


class Helps(Layer):
    """May await what it likes of its own."""

    def connecting(self, address: Sockaddr) -> None: ...

    async def look_up(self) -> None: ...


def test_what_is_no_hook_may_be_async() -> None:
    assert planned(Helps).functions == {"WSPConnect"}


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (MustNotBeBypassed, r"mustnotbebypassed must not be bypassed \(enforces = True\)"),
        (Bytes, r"bytes has outgoing and is no winsock\.StreamLayer"),
        (Sends, r"sends overrides WSPSend \(sends\)"),
        (Receives, r"receives overrides WSPRecv \(receives\)"),
        (Datagrams, r"datagrams overrides WSPRecvFrom \(datagrams received\), WSPSendTo \(datagrams sent\)"),
        (RecordingBase, r"tests\.fakes:RecordingBase is not a subclass of winsock\.Layer"),
        (NamesWhatIsNotThere, r"nameswhatisnotthere names socket options .* \[\(65535, 30583\)\]"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_the_reason(layer: type, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        planned(Nothing, layer)


def test_an_option_that_the_host_does_not_have_is_refused() -> None:
    with pytest.raises(PlanError, match="this host does not have"):
        planned(NamesWhatTheHostHasNot)


def test_each_hook_for_bytes_is_refused() -> None:
    for hook in module.BYTE_HOOKS:
        assert module._refusal(type("Some", (Layer,), {hook: lambda self: None}), ())


def test_every_function_is_carried_or_named() -> None:
    """Nothing is passed over in silence: carried, refused, or said not to be called."""
    for name in FUNCTIONS:
        body = {name: lambda self, *arguments: None}
        layer = module.PlannedLayer(spec(Nothing), type("Some", (Layer,), body), frozenset({name}))
        said = [*layer.carried, *layer.not_called]
        assert said == [name]
        if name in NOT_YET_CARRIED:
            assert module._refusal(layer.kind, {name})


def test_a_layer_that_does_not_import_is_told_by_the_loader() -> None:
    with refused(WSAEPROVIDERFAILEDINIT, "no_such_module"):
        make([LayerSpec("gone", "no_such_module:Layer")])


@pytest.mark.parametrize("kind", [Nothing, NonIfsLayer])
def test_more_layers_than_a_chain_holds(kind: type[Layer]) -> None:
    assert len(planned(*[kind] * (MAX_PROTOCOL_CHAIN - 1)).layers) == MAX_PROTOCOL_CHAIN - 1
    with refused(WSANO_RECOVERY, "6 layers over its base, not 7"):
        planned(*[kind] * MAX_PROTOCOL_CHAIN)
