"""The error table, and the crossing between the kernel's numbers, Winsock's and NTSTATUS."""

from __future__ import annotations

import errno
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec.tables import read
from winsock.abi import errors, ntstatus
from winsock.abi.errors import (
    ROWS,
    WSAECONNREFUSED,
    WSAEMSGSIZE,
    WSAEWOULDBLOCK,
    WSASYSCALLFAILURE,
    ErrorCode,
    InternalError,
    WinsockError,
    code_of,
    code_of_status,
    errno_of,
    from_errno,
    name_of,
    status_of,
    text_of,
)
from winsock.abi.sockaddr import SockaddrIn

SOURCES = str(Path(errors.__file__).parents[2])
NAMED = {row["name"] for row in read("constants.csv") if row["group"] in ("wsa-error", "win32-error")}
ALIASES = {
    "WSANO_ADDRESS",
    "WSA_QOS_EUNKNOWNPSOBJ",
    "ERROR_INVALID_HANDLE",
    "ERROR_INVALID_PARAMETER",
    "ERROR_IO_PENDING",
}


def test_every_code_has_one_row() -> None:
    assert {row.name for row in ROWS} == NAMED - ALIASES - {"WSABASEERR"}
    assert len({row.code for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows(row: errors.Row) -> None:
    assert row.code == getattr(errors, row.name)
    assert row.text
    assert row.text == text_of(row.code)
    assert row.name == name_of(row.code)
    assert errno_of(row.code) == getattr(errno, row.errno), "the twin exists on this host"
    assert status_of(row.code) == row.status
    assert row.status in vars(ntstatus).values()


def test_every_documented_error_has_a_name() -> None:
    for row in read("errors.csv"):
        if row["code_name"].startswith(("WSA", "ERROR_", "EAI_")):
            assert getattr(errors, row["code_name"]) == int(row["code_value"]), row
            assert not name_of(int(row["code_value"])).startswith("error "), row


# What the pages of socket(7), ip(7), tcp(7), udp(7), unix(7) and of each call say that a socket call can give.
ERRNOS_OF_SOCKET_CALLS = """
    EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBUSY ECONNABORTED ECONNREFUSED ECONNRESET
    EDESTADDRREQ EDOM EEXIST EFAULT EHOSTDOWN EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN ELOOP EMFILE EMSGSIZE
    ENAMETOOLONG ENETDOWN ENETRESET ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOMEM ENONET ENOPKG ENOPROTOOPT ENOSPC
    ENOSR ENOSYS ENOTCONN ENOTDIR ENOTSOCK ENOTTY ENXIO EOPNOTSUPP EPERM EPFNOSUPPORT EPIPE EPROTO EPROTONOSUPPORT
    EPROTOTYPE ERANGE EROFS ESHUTDOWN ESOCKTNOSUPPORT ESRCH ETIME ETIMEDOUT ETOOMANYREFS EUSERS EWOULDBLOCK E2BIG
    EOVERFLOW EREMOTEIO ECOMM EBADFD EBADMSG ECANCELED EKEYREJECTED ENOKEY ERESTART ENOTUNIQ EXDEV EFBIG ESPIPE
"""


@pytest.mark.parametrize("name", ERRNOS_OF_SOCKET_CALLS.split())
def test_every_errno_of_a_socket_call_has_a_code(name: str) -> None:
    assert code_of(getattr(errno, name)) != WSASYSCALLFAILURE


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("ECONNREFUSED", "WSAECONNREFUSED"),
        ("EPIPE", "WSAESHUTDOWN"),
        ("ESHUTDOWN", "WSAESHUTDOWN"),
        ("EAGAIN", "WSAEWOULDBLOCK"),
        ("EINPROGRESS", "WSAEWOULDBLOCK"),
        ("EPERM", "WSAEACCES"),
        ("EACCES", "WSAEACCES"),
        ("EBADF", "WSAENOTSOCK"),
        ("ENODEV", "WSAENETDOWN"),
        ("ENOMEM", "WSAENOBUFS"),
        ("ENOBUFS", "WSAENOBUFS"),
        ("EMFILE", "WSAEMFILE"),
        ("ENFILE", "WSAEMFILE"),
        ("EHOSTDOWN", "WSAEHOSTDOWN"),
        ("EHOSTUNREACH", "WSAEHOSTUNREACH"),
        ("EPROTO", "WSAECONNABORTED"),
        ("ENOTTY", "WSAEOPNOTSUPP"),
        ("ECANCELED", "WSA_OPERATION_ABORTED"),
    ],
)
def test_codes_of_errnos(host: str, code: str) -> None:
    assert name_of(code_of(getattr(errno, host))) == code


def test_berkeley_twins_go_there_and_back() -> None:
    turned = {"WSAEBADF", "WSAEINPROGRESS", "WSAEPROCLIM"}
    for row in ROWS:
        if row.name == "WSA" + row.errno and row.name not in turned:
            assert code_of(errno_of(row.code)) == row.code, row.name


def test_unknown_numbers_have_a_fallback() -> None:
    assert code_of(9999) == WSASYSCALLFAILURE
    assert errno_of(9999) == errno.EIO
    assert name_of(9999) == "error 9999"
    assert text_of(9999)
    assert status_of(9999) == ntstatus.STATUS_UNSUCCESSFUL
    assert code_of_status(0xC0DEC0DE) == WSASYSCALLFAILURE


def test_every_failing_status_has_a_code() -> None:
    answers_of_a_client = {
        "STATUS_DATA_NOT_ACCEPTED",
        "STATUS_MORE_PROCESSING_REQUIRED",
        "STATUS_BUFFER_OVERFLOW",
    }
    for name, status in vars(ntstatus).items():
        if name.startswith("STATUS_") and not ntstatus.succeeded(status) and name not in answers_of_a_client:
            expected_unknown = status == ntstatus.STATUS_UNSUCCESSFUL
            assert (code_of_status(status) == WSASYSCALLFAILURE) == expected_unknown, name


def test_an_error_of_the_kernel_keeps_its_number() -> None:
    error = from_errno(errno.EINPROGRESS)
    assert (error.winerror, error.errno, error.from_kernel) == (WSAEWOULDBLOCK, errno.EINPROGRESS, True)
    assert error.name == "WSAEWOULDBLOCK"


def test_an_error_of_ours_is_translated() -> None:
    error = WinsockError(WSAECONNREFUSED)
    assert (error.winerror, error.errno, error.from_kernel) == (WSAECONNREFUSED, errno.ECONNREFUSED, False)
    assert isinstance(error, OSError)
    assert str(error) == "[WSAECONNREFUSED 10061] the peer refused the connection"
    assert str(WinsockError(WSAECONNREFUSED, "go away")) == "[WSAECONNREFUSED 10061] go away"


def test_an_error_carries_what_was_delivered() -> None:
    address = SockaddrIn("127.0.0.1", 53)
    error = WinsockError(WSAEMSGSIZE, count=4, flags=0x100, address=address)
    error.data = b"data"
    copy = pickle.loads(pickle.dumps(error))
    for one in (error, copy):
        assert (one.count, one.flags, one.address, one.from_kernel) == (4, 0x100, address, False)
        assert (str(one), one.data) == (str(error), b"data")
    assert WinsockError(WSAEMSGSIZE).count is None
    assert WinsockError(WSAEMSGSIZE).data is None


def test_a_subclass_is_pickled_as_itself() -> None:
    assert type(pickle.loads(pickle.dumps(Refused(WSAECONNREFUSED, errno=5)))) is Refused


class Refused(WinsockError):
    """An error of somebody's own."""


def test_the_value_of_so_error() -> None:
    nothing = ErrorCode.of_errno(0)
    assert (nothing, nothing.errno, nothing.name) == (0, 0, "0")
    refused = pickle.loads(pickle.dumps(ErrorCode.of_errno(errno.ECONNREFUSED)))
    assert (refused, refused.errno, refused.name) == (WSAECONNREFUSED, errno.ECONNREFUSED, "WSAECONNREFUSED")
    assert ErrorCode(WSAECONNREFUSED).errno == errno.ECONNREFUSED
    assert ErrorCode(WSAEWOULDBLOCK, errno.EINPROGRESS).errno == errno.EINPROGRESS


def test_an_internal_error_is_no_winsock_error() -> None:
    assert not issubclass(InternalError, OSError)


ON_A_HOST_WITH_FEW_ERRNOS = """
import errno, sys, types
few = types.ModuleType("errno")
few.errorcode = {}
for name in ("EINVAL", "EIO", "ECONNREFUSED", "EAGAIN", "EWOULDBLOCK", "EINTR", "ENOENT", "EPIPE"):
    setattr(few, name, getattr(errno, name))
sys.modules["errno"] = few
from winsock.abi import errors
assert errors.code_of(errno.ECONNREFUSED) == errors.WSAECONNREFUSED
assert errors.code_of(errno.EREMOTEIO) == errors.WSASYSCALLFAILURE
assert errors.errno_of(errors.WSAEREMOTE) == errno.EINVAL
"""


def test_a_host_that_lacks_errnos_can_import() -> None:
    subprocess.run([sys.executable, "-S", "-c", ON_A_HOST_WITH_FEW_ERRNOS], check=True, env={"PYTHONPATH": SOURCES})
