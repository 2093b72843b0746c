"""Which NTSTATUS values are failures."""

from __future__ import annotations

from winsock.abi import ntstatus


def test_pending_and_success_are_no_failures() -> None:
    assert ntstatus.succeeded(ntstatus.STATUS_SUCCESS)
    assert ntstatus.succeeded(ntstatus.STATUS_PENDING)
    assert ntstatus.succeeded(ntstatus.STATUS_EVENT_PENDING)


def test_warnings_and_errors_are() -> None:
    assert not ntstatus.succeeded(ntstatus.STATUS_BUFFER_OVERFLOW)
    assert not ntstatus.succeeded(ntstatus.STATUS_INVALID_PARAMETER)
