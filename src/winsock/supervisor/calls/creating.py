"""socket, where a layer wants it or where the kind is not one that a chain carries; io_uring_setup."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from winsock.host import pure
from winsock.host.numbers import AF_INET, AF_INET6, SOCK_STREAM, SOCK_TYPE_MASK
from winsock.supervisor.calls.call import PASSED, Answer, Call, Delivery
from winsock.supervisor.kinds import name_of
from winsock.supervisor.lease import Kind

if TYPE_CHECKING:
    from winsock.supervisor.serving import Supervisor

_IPPROTO_MPTCP, _AF_SMC = 262, 43
_TYPE_BITS = SOCK_TYPE_MASK | os.O_CLOEXEC | os.O_NONBLOCK
_NO_SUCH_KIND = frozenset(
    {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EPROTOTYPE, errno.ESOCKTNOSUPPORT, errno.EINVAL}
)
_NOT_ALLOWED = frozenset({errno.EPERM, errno.EACCES})
_make_socket = pure.raw_call("socket", 3)
_REFUSED_KINDS = {_IPPROTO_MPTCP: "MPTCP socket"}
"""Protocols whose programs fall back to TCP, which a chain can carry."""


def socket(run: Supervisor, call: Call) -> Answer:
    """socket(domain, type, protocol): carried, passed and counted, or refused so that the program falls back."""
    domain, type_and_flags, protocol = call.int_argument(0), call.int_argument(1), call.int_argument(2)
    kind = Kind(domain, type_and_flags & SOCK_TYPE_MASK, protocol)
    if type_and_flags & ~_TYPE_BITS or (domain in (AF_INET, AF_INET6) and not kind.type):
        return PASSED  # there is no such socket
    if domain == _AF_SMC or (domain in (AF_INET, AF_INET6) and protocol in _REFUSED_KINDS):
        run.report.refused("SMC socket" if domain == _AF_SMC else _REFUSED_KINDS[protocol])
        raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))
    if domain not in (AF_INET, AF_INET6) or run.chains.entry_for(kind) is None:
        if _exists(run, call, kind):
            run.report.passed(name_of(kind))
        return PASSED
    wanted = "WSPSocket" in run.functions
    if wanted and not run.same_network(call.thread):
        run.report.made_without("created in another network namespace", kind[:2])
        return PASSED
    if kind.type != SOCK_STREAM:
        run.report.created(name_of(kind))
    return _create(run, call, kind, type_and_flags) if wanted else PASSED


def _create(run: Supervisor, call: Call, kind: Kind, type_and_flags: int) -> Answer:
    if run.leases.is_full():
        raise run.no_number(errno.EMFILE)
    with run.rights_of(call):
        handle, record = run.chains.create(kind)
    if type_and_flags & os.O_NONBLOCK:
        os.set_blocking(handle, False)
    assert call.caller is not None
    created = run.leases.keep(handle, record, call.caller.process)
    return Delivery(created, bool(type_and_flags & os.O_CLOEXEC))


def _exists(run: Supervisor, call: Call, kind: Kind) -> bool:
    """Whether the caller can get such a socket: what can only fail is none that went round the chain."""
    try:
        with run.rights_of(call):
            os.close(_make_socket(kind.domain, kind.type, kind.protocol))
    except OSError as error:
        if error.errno in _NOT_ALLOWED:
            return not run.rights.same_namespace(call.thread)  # where it is root, it may be allowed more
        return error.errno not in _NO_SUCH_KIND
    return True


def io_uring_setup(run: Supervisor, call: Call) -> Answer:
    """io_uring would carry sockets round every trap: programs are told that the kernel has none, and fall back."""
    run.report.refused("io_uring_setup")
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
