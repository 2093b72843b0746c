"""Options and control codes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from winsock.abi.constants import (
    FIONBIO,
    IOC_IN,
    IOC_OUT,
    SIO_GET_EXTENSION_FUNCTION_POINTER,
    SO_OPENTYPE,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.dispatcher import threads
from winsock.dispatcher.route import find, function, note, require_started
from winsock.spi.extensions import ExtensionFunction
from winsock.spi.provider import OptionValue, ReadBuffer

_DWORD = struct.Struct("<I")


@function
def getsockopt(s: int, level: int, optname: int) -> OptionValue:
    """The value of an option: an int (also for booleans), a `Linger`, a WSAPROTOCOL_INFO, or bytes.

    SO_ERROR is an `ErrorCode`, the Windows code with the host's `.errno`; times are in milliseconds. Raises
    WSAENOPROTOOPT, WSAEINVAL, WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-getsockopt.
    """
    if _is_of_thread(level, optname):
        return threads.current().open_type
    return find(s).table.WSPGetSockOpt(s, level, optname)


@function
def setsockopt(s: int, level: int, optname: int, value: OptionValue | ReadBuffer) -> None:
    """Set an option to a value of the type that `getsockopt` answers, or to bytes in Windows' layout.

    Raises WSAENOPROTOOPT, WSAEINVAL, WSAEFAULT, WSAENOTCONN, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-winsock2-setsockopt.
    """
    if _is_of_thread(level, optname):
        threads.current().open_type = _number(_plain(value))
        return
    find(s).table.WSPSetSockOpt(s, level, optname, _plain(value))


def _plain(value: OptionValue | ReadBuffer) -> OptionValue:
    """Whatever holds bytes is bytes to a provider."""
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _number(value: OptionValue) -> int:
    if isinstance(value, bytes) and len(value) >= _DWORD.size:
        (value,) = _DWORD.unpack_from(value)
    if not isinstance(value, int):
        raise WinsockError(WSAEFAULT, f"value: {value!r} is no number")
    if not -0x80000000 <= value <= 0xFFFFFFFF:
        raise WinsockError(WSAEINVAL, f"value: {value} does not fit 32 bits")
    return value


def _is_of_thread(level: int, optname: int) -> bool:
    """SO_OPENTYPE belongs to the thread, so that any handle does, and none."""
    if level != SOL_SOCKET or optname != SO_OPENTYPE:
        return False
    require_started()
    return True


@function
def ioctlsocket(s: int, cmd: int, argument: int = 0) -> int:
    """Control a socket by one number: what `argument` is afterwards.

    FIONBIO with 1 makes it non-blocking, with 0 blocking; FIONREAD answers how many bytes can be read at once;
    SIOCATMARK answers 1 where no urgent data waits. Raises WSAEFAULT, WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.
    Source: nf-winsock2-ioctlsocket.
    """
    record = find(s)
    try:
        given = _DWORD.pack(argument) if cmd & IOC_IN else None
    except struct.error:
        raise WinsockError(WSAEFAULT, f"argument: {argument!r} does not fit an unsigned long") from None
    out = record.table.WSPIoctl(s, cmd, given, _DWORD.size if cmd & IOC_OUT else 0)
    if cmd == FIONBIO:
        record.note_mode(blocking=not argument)
    return int(_DWORD.unpack(out)[0]) if out else argument


@function
def WSAIoctl(
    s: int,
    code: int,
    in_buffer: ReadBuffer | None = None,
    out_size: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> bytes | None:
    """Control a socket; the bytes that the code puts out, `out_size` of them at the most.

    A function that SIO_GET_EXTENSION_FUNCTION_POINTER puts out is an `ExtensionFunction`, which can be called. Raises
    WSAEFAULT, WSAEINVAL, WSAEOPNOTSUPP, WSAENOPROTOOPT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-wsaioctl.
    """
    record = find(s)
    thread = threads.id_for(overlapped)
    out: bytes | None = record.table.WSPIoctl(s, code, in_buffer, out_size, overlapped, completion_routine, thread)
    if code == FIONBIO:
        record.note_mode(blocking=not any(bytes(in_buffer or b"")[: _DWORD.size]))
    return _with_last_error(out) if code == SIO_GET_EXTENSION_FUNCTION_POINTER else out


def _with_last_error(out: bytes | None) -> bytes | None:
    """An extension function whose errors are the thread's last error, too, as they are on Windows."""
    if not isinstance(out, ExtensionFunction):
        return out
    function = out.function

    def noting(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except WinsockError as error:
            note(error)
            raise

    return ExtensionFunction(noting, like=out)
