"""The truth line: what is counted, and how it reads."""

from __future__ import annotations

import json
import threading
from typing import Any

from winsock.core.journal import to_json
from winsock.supervisor import report as module
from winsock.supervisor.report import Report, miss, truth_text


def truth(report: Report, still_running: int = 0) -> dict[str, Any]:
    return report.truth(still_running)


def test_a_run_without_sockets() -> None:
    record = truth(Report())
    assert record == {
        "event": "truth",
        "seen": 0,
        "layered": 0,
        "passed": {},
        "refused": {},
        "still_running": 0,
    }
    assert truth_text(record) == ("winsock: sockets seen: 0, layered: 0, passed: 0; calls refused: 0; still running: 0")
    assert miss(record) is None


def test_everything_that_is_seen_is_layered_or_passed() -> None:
    report = Report()
    for _ in range(3):
        report.layered(False)
    report.passed("sctp")
    report.passed("vsock")
    report.passed("sctp")
    record = truth(report, 2)
    assert (record["seen"], record["layered"], record["still_running"]) == (6, 3, 2)
    assert record["passed"] == {"sctp": 2, "vsock": 1}
    assert miss(record) == "sctp"


def test_one_socket_is_passed_once_for_a_reason_however_often_it_calls() -> None:
    report = Report()
    for _ in range(3):
        report.passed("unreadable", (100, 7))
    report.passed("unreadable", (100, 8))
    report.passed("unreadable", (101, 7))
    report.passed("other", (100, 7))
    assert truth(report)["passed"] == {"unreadable": 3, "other": 1}


def test_a_socket_whose_creation_was_told_of_is_not_counted_again_when_it_calls() -> None:
    report = Report()
    report.passed("raw")
    report.passed("raw")
    for cookie in (7, 8, 7):
        report.strange("raw", cookie)
    record = truth(report)
    assert record["passed"] == {"raw": 2}
    assert record["seen"] == 2


def test_a_socket_that_no_layer_made_is_met_once_and_one_of_another_kind_is_another() -> None:
    report = Report()
    stream, datagram = (2, 1), (2, 2)
    report.made_without("elsewhere", stream)
    report.made_without("elsewhere", datagram)
    assert [report.met_again(stream), report.met_again(stream), report.met_again((10, 1))] == [True, False, False]
    assert report.met_again(datagram)
    report.layered(False)
    record = truth(report)
    assert (record["seen"], record["layered"], record["passed"]) == (3, 1, {"elsewhere": 2})


def test_a_socket_from_outside_is_counted_when_it_calls() -> None:
    report = Report()
    report.passed("raw")
    for cookie in (7, 8, 7):
        report.strange("raw", cookie)
    report.strange("sctp", 9)
    assert truth(report)["passed"] == {"raw": 2, "sctp": 1}


def test_the_memory_of_who_was_told_of_is_bounded() -> None:
    report = Report()
    most = module._MOST_TOLD_OF
    for number in range(most + 10):
        report.passed("unreadable", (1, number))
    report.passed("unreadable", (1, 0))
    assert len(report._told_of) == most
    assert truth(report)["passed"] == {"unreadable": most + 10}


def test_datagrams_that_no_call_brought_to_the_chain_are_passed() -> None:
    report = Report()
    for kind in ("udp", "udp", "raw"):
        report.created(kind)
    report.layered(True)
    record = truth(report)
    assert record["passed"] == {"raw/udp: no call of theirs is carried by this chain": 2}
    assert (record["seen"], record["layered"]) == (3, 1)


def test_datagrams_that_all_came_to_the_chain_are_no_miss() -> None:
    report = Report()
    report.created("udp")
    report.layered(True)
    report.layered(True)  # one that was inherited, and so never seen to be created
    assert miss(truth(report)) is None
    assert truth(report)["seen"] == 2


def test_refusals_are_counted_and_the_first_of_each_is_told() -> None:
    report = Report()
    assert [report.refused("io_uring_setup"), report.refused("io_uring_setup"), report.refused("SMC socket")] == [
        True,
        False,
        True,
    ]
    record = truth(report)
    assert record["refused"] == {"io_uring_setup": 2, "SMC socket": 1}
    assert record["seen"] == 0
    assert miss(record) is None


def test_the_line_names_every_reason_in_order() -> None:
    report = Report()
    report.layered(False)
    report.passed("vsock")
    report.passed("sctp")
    report.refused("io_uring_setup")
    assert truth_text(truth(report, 1)) == (
        "winsock: sockets seen: 3, layered: 1, passed: 2 (sctp: 1; vsock: 1); "
        "calls refused: 1 (io_uring_setup: 1); still running: 1"
    )


def test_as_json_it_is_one_line_that_says_the_same() -> None:
    report = Report()
    report.passed("sctp")
    record = truth(report)
    line = to_json(record)
    assert "\n" not in line
    assert json.loads(line) == record


def test_the_record_is_a_copy() -> None:
    report = Report()
    report.passed("sctp")
    record = truth(report)
    report.passed("sctp")
    report.refused("x")
    assert (record["passed"], record["refused"]) == ({"sctp": 1}, {})


def test_threads_may_tell_at_once() -> None:
    report = Report()

    def tell() -> None:
        for number in range(500):
            report.passed("sctp")
            report.passed("vsock", (1, number))
            report.refused("io_uring_setup")
            report.created("udp")

    threads = [threading.Thread(target=tell, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = truth(report)
    assert record["refused"] == {"io_uring_setup": 2000}
    assert record["passed"] == {
        "sctp": 2000,
        "vsock": 500,
        "udp: no call of theirs is carried by this chain": 2000,
    }
