"""select() over sockets of several providers.

WSPSelect is given sockets of one provider only. Where a call has several, each provider is asked without waiting; in
between, the descriptors beneath all layers are waited for. That wait is only a hint when to ask again: what a handle is
ready for, its provider alone knows (`winsock.dispatcher.waits`). Simulated sockets have no descriptors that tell
anything, and a time of their own: they are waited for on their clock, and never together with real ones.

Source: nf-winsock2-select; nc-ws2spi-lpwspselect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WinsockError
from winsock.dispatcher.made import Made
from winsock.dispatcher.records import Record, closed_since
from winsock.dispatcher.route import find
from winsock.dispatcher.waits import IN, OUT, PRI, Waiter
from winsock.spi.handles import base_handle

if TYPE_CHECKING:
    from winsock.overlapped.simulation import Simulation

Ready: TypeAlias = tuple[list[int], list[int], list[int]]
_Select: TypeAlias = Callable[..., Ready]


def select(
    nfds: int,
    readfds: Sequence[int],
    writefds: Sequence[int],
    exceptfds: Sequence[int],
    timeout: float | None,
) -> Ready:
    """The handles that are ready; raises WSAEINVAL where none is given, or simulated and real ones, WSAENOTSOCK."""
    sets = (readfds, writefds, exceptfds)
    records = _found(sets)
    providers = {handle: record.table.WSPSelect for handle, record in records.items()}
    if not providers:
        raise WinsockError(WSAEINVAL, "readfds, writefds, exceptfds: there is no socket in any of them")
    if timeout is not None and not timeout >= 0:
        raise WinsockError(WSAEINVAL, f"timeout: {timeout} is no number of seconds; None waits without limit")
    slots: list[_Select] = []
    for slot in providers.values():
        if slot not in slots:
            slots.append(slot)
    if len(slots) == 1:
        return slots[0](nfds, readfds, writefds, exceptfds, timeout)
    shares = [(slot, [[h for h in handles if providers[h] == slot] for handles in sets]) for slot in slots]
    simulation = common_simulation(records.values())
    if simulation is not None:
        return _select_simulated(nfds, shares, sets, simulation, timeout)
    return _select_across(nfds, shares, sets, records, timeout)


def _found(sets: Iterable[Sequence[int]]) -> dict[int, Record]:
    """The record of every handle; raises WSAENOTSOCK with the name of the set."""
    records = {}
    for name, handles in zip(("readfds", "writefds", "exceptfds"), sets, strict=True):
        for handle in handles:
            try:
                records[handle] = find(handle)
            except WinsockError as error:
                raise WinsockError(error.winerror, f"{name}: {error.strerror}") from None
    return records


def _select_across(
    nfds: int,
    shares: list[tuple[_Select, list[list[int]]]],
    sets: tuple[Sequence[int], ...],
    records: dict[int, Record],
    timeout: float | None,
) -> Ready:
    until = None if timeout is None else time.monotonic() + timeout
    bases = {handle: base_of(record) for handle, record in records.items()}
    events: dict[int, int] = {}
    for handles, event in zip(sets, (IN, OUT, PRI), strict=True):
        for handle in handles:
            events[bases[handle]] = events.get(bases[handle], 0) | event
    closed: set[int] = set()
    with Waiter({*records, *events}) as waiter:  # who closes one of them rings
        while True:
            try:
                reads, writes, exceptions = _ask(nfds, _without(shares, closed), sets)
            except WinsockError:
                if closed == (closed := _lost(records)):
                    raise
                continue
            reads += [handle for handle in dict.fromkeys(sets[0]) if handle in closed]
            if reads or writes or exceptions or (until is not None and time.monotonic() >= until):
                return reads, writes, exceptions
            if len(closed) == len(records):
                raise WinsockError(WSAENOTSOCK, "writefds, exceptfds: all of the sockets were closed meanwhile")
            gone = {bases[handle] for handle in closed}
            waiter.wait({base: event for base, event in events.items() if base not in gone}, until)
            closed |= closed_since(records)


def _lost(records: Mapping[int, Record]) -> set[int]:
    """The handles that another thread has closed, or is closing: their providers know them no more."""
    return closed_since(records) | {handle for handle, record in records.items() if not _is_known(record)}


def _is_known(record: Record) -> bool:
    try:
        record.table.WSPSelect(0, [record.handle], [], [], 0)
    except WinsockError as error:
        return error.winerror != WSAENOTSOCK
    return True


def _without(shares: list[tuple[_Select, list[list[int]]]], closed: set[int]) -> list[tuple[_Select, list[list[int]]]]:
    """What is asked of the providers where other threads have closed some of the sockets, which can be read then."""
    if not closed:
        return shares
    left = [(slot, [[h for h in handles if h not in closed] for handles in share]) for slot, share in shares]
    return [(slot, share) for slot, share in left if any(share)]


def _select_simulated(
    nfds: int,
    shares: list[tuple[_Select, list[list[int]]]],
    sets: tuple[Sequence[int], ...],
    simulation: Simulation,
    timeout: float | None,
) -> Ready:
    until = None if timeout is None else simulation.clock.now() + timeout
    while True:
        seen = simulation.clock.done
        ready = _ask(nfds, shares, sets)
        if any(ready) or (until is not None and simulation.clock.now() >= until):
            return ready
        simulation.wait_for_news(seen, until, "select over several providers")


def common_simulation(records: Iterable[Record]) -> Simulation | None:
    """In whose time they live; None for the world's. Raises WSAEINVAL where they have not one time in common."""
    simulations = {_simulation(record) for record in records}
    if len(simulations) > 1:
        raise WinsockError(WSAEINVAL, "readfds, writefds, exceptfds: simulated sockets do not wait with others")
    return simulations.pop()


def _simulation(record: Record) -> Simulation | None:
    """Asked of the base protocol's own function."""
    found: Simulation | None = getattr(record.base, "simulation", None)
    return found


def base_of(record: Record) -> int:
    """The descriptor to wait at: the one beneath all layers, where the handle is not itself one that tells."""
    if not isinstance(record, Made) or record.file is not None:
        return record.handle
    try:
        return base_handle(record.table, record.handle)
    except WinsockError:
        return record.handle


def _ask(nfds: int, shares: list[tuple[_Select, list[list[int]]]], sets: tuple[Sequence[int], ...]) -> Ready:
    """Every provider's answer now, in the order in which the handles were given."""
    found: tuple[set[int], set[int], set[int]] = (set(), set(), set())
    for slot, share in shares:
        for whole, part in zip(found, slot(nfds, *share, 0), strict=True):
            whole.update(part)
    reads, writes, exceptions = (
        [handle for handle in dict.fromkeys(handles) if handle in ready]
        for handles, ready in zip(sets, found, strict=True)
    )
    return reads, writes, exceptions
