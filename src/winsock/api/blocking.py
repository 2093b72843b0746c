"""Blocking hooks: what programs of version 1 ran while a call of theirs waited.

A thread's hook is called again and again while one of its blocking calls cannot finish, and may cancel it. Any other
call from inside the hook but WSAIsBlocking fails with WSAEINPROGRESS. Programs that asked for version 2 alone have no
hooks: these functions answer WSAEOPNOTSUPP, as Windows does for all but those of Wsock32.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAEOPNOTSUPP, WinsockError
from winsock.dispatcher import process, threads
from winsock.dispatcher.records import senders
from winsock.dispatcher.route import function, not_started, refuse_nested
from winsock.spi.blocking import ASKING, HOOKED

Hook = Callable[[], object]


@function
def WSASetBlockingHook(function: Hook) -> Hook | None:
    """Run this function while calls of this thread wait; the one before it, None where there was none.

    It is called until it answers False, before each look whether the call can finish. Raises WSAEFAULT, WSAEOPNOTSUPP
    where no WSAStartup asked for version 1, WSAEINPROGRESS inside a hook, WSANOTINITIALISED. Source:
    nf-winsock2-wsasetblockinghook.
    """
    _require_version_1()
    refuse_nested()
    if not callable(function):
        raise WinsockError(WSAEFAULT, f"function: {function!r} cannot be called")
    state = threads.current()
    previous = state.blocking_context if state.blocking_callback is _run else None
    state.blocking_callback, state.blocking_context = _run, function
    HOOKED.add(get_ident())
    senders.clear()  # what goes past the providers runs no hook
    assert previous is None or callable(previous)
    return previous


@function
def WSAUnhookBlockingHook() -> None:
    """Wait natively again. Raises WSAEOPNOTSUPP where no WSAStartup asked for version 1, WSAEINPROGRESS inside a hook.

    Raises WSANOTINITIALISED, too. Source: nf-winsock2-wsaunhookblockinghook.
    """
    _require_version_1()
    refuse_nested()
    state = threads.current()
    state.blocking_callback = state.blocking_context = None
    HOOKED.discard(get_ident())
    senders.clear()


def WSAIsBlocking() -> bool:
    """Whether a call of this thread is waiting, which is so inside its hook. Source: nf-winsock2-wsaisblocking."""
    return get_ident() in ASKING


@function
def WSACancelBlockingCall() -> None:
    """Let the call that is waiting fail with WSAEINTR. Raises WSAEINVAL where none is, WSAEOPNOTSUPP.

    Raises WSANOTINITIALISED, too. Source: nf-winsock2-wsacancelblockingcall.
    """
    _require_version_1()
    table = threads.current().blocking_table
    if not WSAIsBlocking() or table is None:
        raise WinsockError(WSAEINVAL, "no blocking call of this thread is waiting")
    table.WSPCancelBlockingCall()


def _run(hook: object) -> bool:
    """The blocking callback of a thread with a hook; the provider itself knows whether it was cancelled."""
    assert callable(hook)
    while hook():
        pass
    return True


def _require_version_1() -> None:
    if not process.is_started():
        raise not_started()
    if not process.has_blocking_hooks():
        raise WinsockError(WSAEOPNOTSUPP, "blocking hooks are for programs of version 1, which WSAStartup asks for")
