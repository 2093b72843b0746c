"""select() over sockets of several providers.

WSPSelect is given sockets of one provider only. Where a call has several, each provider is asked without waiting; in
between, the handles are waited for as what they are, descriptors. That wait is only a hint when to ask again: what a
handle is ready for, its provider alone knows. A handle that woke us for nothing is left out for a moment, which grows,
so that no handle makes us spin.

Source: nf-winsock2-select; nc-ws2spi-lpwspselect.
"""

from __future__ import annotations

import select as host
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.dispatcher.route import find

Ready: TypeAlias = tuple[list[int], list[int], list[int]]
_Select: TypeAlias = Callable[..., Ready]

_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


def select(
    nfds: int,
    readfds: Sequence[int],
    writefds: Sequence[int],
    exceptfds: Sequence[int],
    timeout: float | None,
) -> Ready:
    """The handles that are ready; raises WSAEINVAL where none is given, WSAENOTSOCK."""
    sets = (readfds, writefds, exceptfds)
    providers = {handle: find(handle).table.WSPSelect for handles in sets for handle in handles}
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
    return _select_across(nfds, shares, sets, timeout)


def _select_across(
    nfds: int,
    shares: list[tuple[_Select, list[list[int]]]],
    sets: tuple[Sequence[int], ...],
    timeout: float | None,
) -> Ready:
    deadline = None if timeout is None else time.monotonic() + timeout
    left_out: set[int] = set()
    pause = _FIRST_PAUSE_S
    while True:
        ready = _ask(nfds, shares, sets)
        left = None if deadline is None else deadline - time.monotonic()
        if any(ready) or (left is not None and left <= 0):
            return ready
        if left_out:
            left = pause if left is None else min(left, pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        woken = _wait([[handle for handle in handles if handle not in left_out] for handles in sets], left)
        left_out = left_out | woken if woken else set()


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


def _wait(sets: list[list[int]], timeout: float | None) -> set[int]:
    """The descriptors that have news of any kind, within the time."""
    if not hasattr(host, "poll"):
        reads, writes, exceptions = sets
        return {handle for ready in host.select(reads, writes, exceptions, timeout) for handle in ready}
    poller = host.poll()
    interest: dict[int, int] = {}
    for handles, event in zip(sets, (host.POLLIN, host.POLLOUT, host.POLLPRI), strict=True):
        for handle in handles:
            interest[handle] = interest.get(handle, 0) | event
    for handle, events in interest.items():
        poller.register(handle, events)
    return {handle for handle, _ in poller.poll(None if timeout is None else timeout * 1000)}
