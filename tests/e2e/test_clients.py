"""Clients under `winsock run`: what they do is what they do without it, and their connections are shown."""

from __future__ import annotations

from tests.e2e.harness import WebServer, needs, same_as_bare


def test_curl_is_the_same_and_its_connection_is_shown(server: WebServer) -> None:
    ran = same_as_bare(server, needs("curl"), "-sS", server.url)
    (connect,) = ran.finished.events("connect")
    assert (connect["peer"], connect["result"], connect["error"]) == (server.address, "connected", None)
    assert connect["duration_us"] > 0
