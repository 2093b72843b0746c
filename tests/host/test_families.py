"""Winsock's numbers of address families and this host's."""

from __future__ import annotations

import socket

from winsock.abi.constants import AF_HYPERV, AF_INET, AF_INET6
from winsock.host import families


def test_each_number_leads_to_the_other() -> None:
    assert families.TO_HOST == {AF_INET: socket.AF_INET, AF_INET6: socket.AF_INET6}
    assert {families.FROM_HOST[host]: host for host in families.FROM_HOST} == families.TO_HOST


def test_only_who_gave_the_hosts_number_is_told_winsocks() -> None:
    assert families.hint(socket.AF_INET6) == "; AF_INET6 is 23 in Winsock"
    assert [families.hint(family) for family in (AF_INET, AF_INET6, AF_HYPERV, 0)] == [""] * 4
