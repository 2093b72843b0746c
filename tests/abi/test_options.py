"""The rows of options: complete, consistent, and their twins are the host's."""

from __future__ import annotations

import socket
import sys

import pytest

from tests.spec.tables import number, read
from winsock.abi import constants, options
from winsock.abi.options import ROWS, Linger, Option, find, find_host

GROUPS = {
    "sol_socket-option",
    "ipproto_ip",
    "ipproto_ipv6",
    "ipproto_tcp",
    "ipproto_udp",
    "ipproto_rm",
    "nsproto_ipx",
    "hvsocket",
    "irda",
}
NO_OPTIONS = {
    "SO_SYNCHRONOUS_ALERT",
    "SO_SYNCHRONOUS_NONALERT",
    "WSK_SO_BASE",
    "HVSOCKET_CONNECT_TIMEOUT_MAX",
    "HVSOCKET_ADDRESS_FLAG_PASSTHRU",
}
OTHER_NAMES = {
    "SO_PROTOCOL_INFO": "SO_PROTOCOL_INFOW",
    "TCP_KEEPALIVE": "TCP_KEEPIDLE",
    "UDP_COALESCED_INFO": "UDP_RECV_MAX_COALESCED_SIZE",
    "IP_HOPLIMIT": "IP_RECVTTL",
    "IP_RECVTCLASS": "IP_RECVTOS",
    "IP_ECN": "IP_RECVECN",
    "IPV6_JOIN_GROUP": "IPV6_ADD_MEMBERSHIP",
    "IPV6_LEAVE_GROUP": "IPV6_DROP_MEMBERSHIP",
    "IPV6_ECN": "IPV6_RECVECN",
}
TYPES = {
    "bool", "int", "dword", "error", "linger", "timeval_ms", "seconds_ms", "limit_ms", "ifindex_be", "in_addr",
    "ip_mreq", "ip_options", "ipv6_mreq", "ip_mreq_source", "group_req", "group_source_req", "protocol_info", "bytes",
}  # fmt: skip


def test_every_documented_option_has_a_row() -> None:
    documented = {
        row["name"]: number(row["value"])
        for row in read("constants.csv")
        if row["group"] in GROUPS and row["name"] not in NO_OPTIONS and not row["name"].startswith("IAS_")
    }
    rows = {row.name: row.optname for row in ROWS}
    assert {OTHER_NAMES.get(name, name) for name in documented} == set(rows)
    assert {name: rows[OTHER_NAMES.get(name, name)] for name in documented} == documented


def test_no_number_has_two_rows() -> None:
    assert len({(row.level, row.optname) for row in ROWS}) == len(ROWS)
    twins = [(row.host_level, row.host_optname) for row in ROWS if row.host == "host"]
    assert len(set(twins)) == len(twins)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.level:#x}-{row.name}")
def test_rows_are_consistent(row: Option) -> None:
    assert row.type in TYPES
    assert row.host in ("host", "emulated", "refused")
    assert row.answered_by in ("base", "dispatcher", "layer")
    assert row.get or row.set
    assert (row.host_level is not None) == (row.host_optname is not None) == (row.host == "host")
    assert row.note or row.host == "host", "what is not the host's own needs a word"
    assert not (row.relay and row.host == "refused")
    assert find(row.level, row.optname) is row


@pytest.mark.skipif(sys.platform != "linux", reason="the twins are Linux' numbers")
def test_the_twins_are_linux_numbers() -> None:
    checked = 0
    named_otherwise = {"TCP_MAXRTMS": "TCP_USER_TIMEOUT", "IPV6_ADD_MEMBERSHIP": "IPV6_JOIN_GROUP",
                       "IPV6_DROP_MEMBERSHIP": "IPV6_LEAVE_GROUP", "IPV6_PKTINFO": "IPV6_RECVPKTINFO",
                       "IPV6_HOPLIMIT": "IPV6_RECVHOPLIMIT"}  # fmt: skip
    levels = {constants.SOL_SOCKET: socket.SOL_SOCKET, constants.IPPROTO_IP: socket.IPPROTO_IP,
              constants.IPPROTO_IPV6: socket.IPPROTO_IPV6, constants.IPPROTO_TCP: socket.IPPROTO_TCP}  # fmt: skip
    for row in ROWS:
        twin = getattr(socket, named_otherwise.get(row.name, row.name), None)
        if row.host == "host" and twin is not None:
            assert (row.host_level, row.host_optname) == (levels[row.level], twin), row.name
            checked += 1
    assert checked > 30


def test_find_by_the_twin() -> None:
    row = find_host(6, 1)
    assert row is not None
    assert row.name == "TCP_NODELAY"
    assert find_host(1, 2) is None, "Linux' SO_REUSEADDR has no name on Windows"


def test_a_negative_number_is_found_as_c_spells_it() -> None:
    row = find(constants.SOL_SOCKET, ~constants.SO_LINGER)
    assert row is not None
    assert row.name == "SO_DONTLINGER"
    assert find(constants.SOL_SOCKET, 0x7777) is None


def test_windows_reuseaddr_is_not_the_hosts() -> None:
    row = options.find(constants.SOL_SOCKET, constants.SO_REUSEADDR)
    assert row is not None
    assert row.host == "emulated"


def test_linger_is_a_pair() -> None:
    assert Linger(1, 30) == (1, 30)
    assert Linger(1, 30).seconds == 30
