"""Options with functions of their own, and the IPsec functions, which refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.refusals import refused
from winsock.abi.errors import WSAEINVAL, WSAENOPROTOOPT, WSAENOTSOCK, WSAEOPNOTSUPP, WSASYSCALLFAILURE
from winsock.api import security, settings
from winsock.testing import World

NOT_HERE = [
    settings.WSAGetIPUserMtu,
    settings.WSAGetRecvIPEcn,
    settings.WSAGetUnicastReceiveSharing,
]
SET_NOT_HERE = [
    settings.WSASetIPUserMtu,
    settings.WSASetRecvIPEcn,
    settings.WSASetUnicastReceiveSharing,
]
OF_TCP = [settings.WSAGetFailConnectOnIcmpError, settings.WSAGetIcmpErrorInfo]
ALL = [*NOT_HERE, *OF_TCP, settings.WSAGetUdpRecvMaxCoalescedSize, settings.WSAGetUdpSendMessageSize]
ALL_SET = [
    *SET_NOT_HERE,
    settings.WSASetFailConnectOnIcmpError,
    settings.WSASetUdpRecvMaxCoalescedSize,
    settings.WSASetUdpSendMessageSize,
]
SECURITY: list[tuple[Callable[..., object], tuple[object, ...]]] = [
    (security.WSASetSocketSecurity, ()),
    (security.WSAQuerySocketSecurity, ()),
    (security.WSASetSocketPeerTargetName, ("name",)),
    (security.WSADeleteSocketPeerTargetName, (("127.0.0.1", 1),)),
    (security.WSAImpersonateSocketPeer, ()),
]


def test_the_size_of_the_datagrams_that_a_send_is_cut_into(world: World) -> None:
    s = world.datagram()
    assert settings.WSAGetUdpSendMessageSize(s) == 0
    settings.WSASetUdpSendMessageSize(s, 1000)
    assert settings.WSAGetUdpSendMessageSize(s) == 1000


@pytest.mark.parametrize("get", NOT_HERE)
def test_what_the_host_does_not_have_cannot_be_read(world: World, get: Callable[[int], object]) -> None:
    with refused(WSAENOPROTOOPT):
        get(world.stream())


@pytest.mark.parametrize("set", SET_NOT_HERE)
def test_what_the_host_does_not_have_cannot_be_set(world: World, set: Callable[[int, int], None]) -> None:
    with refused(WSAENOPROTOOPT):
        set(world.datagram(), 1)


@pytest.mark.parametrize("get", OF_TCP)
def test_connects_are_of_tcp(world: World, get: Callable[[int], object]) -> None:
    with refused(WSAENOPROTOOPT):
        get(world.datagram())
    with refused(WSAENOPROTOOPT):
        settings.WSASetFailConnectOnIcmpError(world.datagram(), 1)


@pytest.mark.parametrize("get", ALL)
def test_settings_are_of_sockets(world: World, get: Callable[[int], object]) -> None:
    with refused(WSAENOTSOCK):
        get(-1)


@pytest.mark.parametrize("set", ALL_SET)
def test_settings_are_set_of_sockets(world: World, set: Callable[[int, int], None]) -> None:
    with refused(WSAENOTSOCK):
        set(-1, 1)


def test_sharing_is_asked_for_by_a_truth_value(world: World) -> None:
    with refused(WSAEINVAL):
        settings.WSASetUnicastReceiveSharing(world.datagram(), 2)


@pytest.mark.parametrize(("call", "arguments"), SECURITY)
def test_there_is_no_ipsec(world: World, call: Callable[..., object], arguments: tuple[object, ...]) -> None:
    with refused(WSAEOPNOTSUPP, "IPsec"):
        call(world.stream(), *arguments)
    with refused(WSAENOTSOCK):
        call(-1, *arguments)


def test_nobody_was_impersonated() -> None:
    with refused(WSASYSCALLFAILURE, "IPsec"):
        security.WSARevertImpersonation()
