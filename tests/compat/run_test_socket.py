"""Runs CPython's own test_socket over `winsock.facade.socket`, unmodified: its TCP, UDP, time-out and IPv6 classes.

    python -m tests.compat.run_test_socket [--layer package.module:Class]... [CLASS...]

The module under test is put in the place of `socket` before test_socket is imported. Prints one JSON object: how many
tests ran, were skipped and failed, and the last line of each failure.
"""

from __future__ import annotations

import argparse
import json
import unittest
from typing import Any

CLASSES = (
    "GeneralModuleTests",
    "BasicTCPTest",
    "BasicTCPTest2",
    "TCPCloserTest",
    "TCPTimeoutTest",
    "BasicUDPTest",
    "UDPTimeoutTest",
    "NonBlockingTCPTests",
    "FileObjectClassTestCase",
    "UnbufferedFileObjectClassTestCase",
    "LineBufferedFileObjectClassTestCase",
    "SmallBufferedFileObjectClassTestCase",
    "UnicodeReadFileObjectClassTestCase",
    "UnicodeWriteFileObjectClassTestCase",
    "UnicodeReadWriteFileObjectClassTestCase",
    "NetworkConnectionNoServer",
    "NetworkConnectionAttributesTest",
    "NetworkConnectionBehaviourTest",
    "ContextManagersTest",
    "InheritanceTest",
    "NonblockConstantTest",
    "BufferIOTest",
    "InterruptedRecvTimeoutTest",
    "InterruptedSendTimeoutTest",
    "SendmsgUDPTest",
    "RecvmsgUDPTest",
    "RecvmsgIntoUDPTest",
    "SendmsgUDP6Test",
    "RecvmsgUDP6Test",
    "RecvmsgIntoUDP6Test",
    "RecvmsgRFC3542AncillaryUDP6Test",
    "RecvmsgIntoRFC3542AncillaryUDP6Test",
    "SendmsgTCPTest",
    "RecvmsgTCPTest",
    "RecvmsgIntoTCPTest",
    "SendfileUsingSendTest",
    "SendfileUsingSendfileTest",
    "CreateServerTest",
    "CreateServerFunctionalTest",
    "TestExceptions",
    "BasicSocketPairTest",
)


class Outcomes(unittest.TestResult):
    """What came of each test."""

    def __init__(self, **ignored: Any) -> None:
        super().__init__()
        self.told: dict[str, str] = {}

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.told[test.id()] = f"{err[0].__name__}: {err[1]}"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.told[test.id()] = f"{err[0].__name__}: {err[1]}"

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.told[test.id()] = f"{err[0].__name__}: {err[1]}"


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layer", action="append", default=[])
    parser.add_argument("classes", nargs="*", default=CLASSES)
    options = parser.parse_args()

    import winsock.facade
    from winsock.dispatcher import process
    from winsock.facade import socket
    from winsock.testing import through

    if options.layer:
        process.startup(catalog=through(*options.layer))
    winsock.facade.install()
    from test import support  # type: ignore[import-not-found, unused-ignore]

    support.LOOPBACK_TIMEOUT = support.INTERNET_TIMEOUT  # ten seconds may be too few on a busy machine
    import test.test_socket as theirs  # type: ignore[import-not-found, unused-ignore]

    assert theirs.socket is socket, "test_socket uses another module"
    theirs.HOST = "127.0.0.1"
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(
        loader.loadTestsFromTestCase(getattr(theirs, name)) for name in options.classes if hasattr(theirs, name)
    )
    outcomes = Outcomes()
    theirs.setUpModule()
    suite.run(outcomes)
    unittest.case.doModuleCleanups()
    skipped = {test.id(): reason for test, reason in outcomes.skipped}
    print(json.dumps({"run": outcomes.testsRun, "skipped": len(skipped), "failed": outcomes.told}, indent=1))


if __name__ == "__main__":
    main()
