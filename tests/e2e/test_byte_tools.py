"""Tools with ways of their own, through layers that get their bytes: bound ports, half-closes, TLS, swarms."""

from __future__ import annotations

import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.byte_chains import CHAINS, Chain, nothing_passed, saw_everything
from tests.e2e.byte_peers import PROBE, Command, ask, nginx, serving, serving_nginx, turned
from tests.e2e.depot import Depot, content, depot, digest, flow_of, flows_told
from tests.e2e.harness import (
    DEADLINE_S,
    LOCALHOST,
    Finished,
    bare,
    free_port,
    missing,
    needs,
    supervised,
)
from tests.waiting import wait_until

SOME = ("one", "count")
BODY = 2_000_001

some_chains = pytest.mark.parametrize("through", [pytest.param(CHAINS[name], id=name) for name in SOME])


@pytest.fixture
def here() -> Iterator[Depot]:
    """A server."""
    with depot() as running:
        yield running


# --- curl, from a name of its own -------------------------------------------------------------------------------------


@some_chains
def test_curl_from_a_local_port(through: Chain, here: Depot) -> None:
    port = free_port()
    finished = supervised(needs("curl"), "-sS", "--local-port", str(port), f"{here.url}/peer", options=through.options)
    assert finished.same == (0, f"{LOCALHOST} {port}\n".encode())
    saw_everything(finished, through, here.flows())


@some_chains
def test_curl_from_a_range_of_ports_of_which_some_are_taken(through: Chain, here: Depot) -> None:
    with socket.socket() as taken:
        taken.bind((LOCALHOST, 0))
        first = taken.getsockname()[1]
        range_ = f"{first}-{first + 20}"
        words = (needs("curl"), "-sS", "--interface", LOCALHOST, "--local-port", range_, f"{here.url}/peer")
        finished = supervised(*words, options=through.options)
    assert finished.status == 0, finished.text
    assert first < int(finished.stdout.split()[1]) <= first + 20
    saw_everything(finished, through, here.flows())


@some_chains
def test_curl_from_an_address(through: Chain, here: Depot) -> None:
    finished = supervised(
        needs("curl"), "-sS", "--interface", "127.0.0.77", f"{here.url}/peer", options=through.options
    )
    assert (finished.status, finished.stdout.split()[0]) == (0, b"127.0.0.77")
    saw_everything(finished, through, here.flows())


@some_chains
def test_curl_from_an_interface(through: Chain, here: Depot) -> None:
    """curl binds to the device; such a socket cannot be relayed, and goes round the layer, which is told."""
    words = (needs("curl"), "-sS", "--interface", "lo", f"{here.url}/peer")
    plain = bare(*words)
    finished = supervised(*words, options=through.options)
    assert plain.stdout.startswith(LOCALHOST.encode())
    assert (finished.status, finished.stdout.split()[0]) == (plain.status, plain.stdout.split()[0])
    assert finished.truth["passed"] == {"no byte layer can relay it: bound to a device": 1}


@some_chains
def test_curl_over_ipv6(through: Chain) -> None:
    if not socket.has_ipv6:
        missing("there is no IPv6")
    with depot("::1") as six:
        finished = supervised(needs("curl"), "-sS", f"{six.url}/peer", f"{six.url}/{BODY}/3", options=through.options)
        expected = six.flows()
    assert finished.stdout.startswith(b"::1 ")
    assert digest(finished.stdout.partition(b"\n")[2]) == digest(content(BODY, 3))
    saw_everything(finished, through, expected)


# --- HTTP/2 and TLS ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
    files = ("-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    assert bare(needs("openssl"), *words.split(), *files).status == 0
    return folder


@some_chains
def test_many_streams_over_one_tls_connection(through: Chain, certificate: Path, tmp_path: Path) -> None:
    """nginx and curl speak HTTP/2, both through the layers."""
    how = f"ssl http2; ssl_certificate {certificate}/cert.pem; ssl_certificate_key {certificate}/key.pem"
    web = nginx(tmp_path, how=how)
    urls = [f"https://{LOCALHOST}:{web.port}/file?{number}" for number in range(6)]
    output = [word for number in range(6) for word in ("-o", str(tmp_path / f"got{number}"))]
    told = "%{http_version} %{http_code} %{size_download}\n"
    options = ("-sSk", "--http2", "--no-progress-meter", "--parallel", "--parallel-max", "6", "-w", told)
    with serving_nginx(web, through) as server:
        client = supervised(needs("curl"), *options, *output, *urls, options=through.options)
        server.signal(signal.SIGQUIT)
        finished = server.wait()
    file = (web.files / "file").read_bytes()
    assert client.same == (0, f"2 200 {len(file)}\n".encode() * 6)
    assert all((tmp_path / f"got{number}").read_bytes() == file for number in range(6))
    (witness,) = through.witnesses
    near, far = flows_told(client, witness, "connect"), flows_told(finished, witness, "accept")
    assert Counter(far) == Counter([flow.turned for flow in near] + [PROBE if through.digests else PROBE.counts])
    nothing_passed(client)
    nothing_passed(finished)


# --- half-closes ------------------------------------------------------------------------------------------------------


@contextmanager
def turning() -> Iterator[int]:
    """A server that takes everything until the client ends, and then gives it back, twice."""

    def serve() -> None:
        with listener.accept()[0] as connection:
            data = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            connection.sendall(data + data)

    with socket.create_server((LOCALHOST, 0)) as listener:
        listener.settimeout(DEADLINE_S)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


CLIENTS = {"nc": ["nc", "-N", LOCALHOST], "socat": ["socat", "-t10", "-"]}


@some_chains
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_ends_first(name: str, through: Chain) -> None:
    data = content(BODY, 8)
    program, *words = CLIENTS[name]
    with turning() as port:
        where = [str(port)] if name == "nc" else [f"TCP:{LOCALHOST}:{port}"]
        finished = supervised(needs(program), *words, *where, input=data, options=through.options)
    assert (finished.status, digest(finished.stdout)) == (0, digest(data + data))
    saw_everything(finished, through, [flow_of(data, data + data)])


@some_chains
def test_a_server_that_ends_first(through: Chain) -> None:
    """nc sends its input, ends, and goes on reading."""
    data, port = content(BODY, 9), free_port()
    command: Command = [needs("nc"), "-N", "-l", LOCALHOST, str(port)]
    with serving(command, through, input=data) as server:
        waiting = threading.Thread(target=lambda: outcome.append(server.wait()), daemon=True)
        outcome: list[Finished] = []
        waiting.start()
        wait_until(lambda: listens(port), "nc listens")
        with socket.create_connection((LOCALHOST, port), DEADLINE_S) as client:
            got = b"".join(iter(lambda: client.recv(1 << 16), b""))
            client.sendall(got)
        waiting.join()
    (finished,) = outcome
    assert (finished.status, digest(finished.stdout), digest(got)) == (0, digest(data), digest(data))
    saw_everything(finished, through, [flow_of(data, data)], "accept")


@some_chains
def test_a_server_that_starts_a_program_on_each_connection(through: Chain) -> None:
    """socat forks, and its child starts another that has the socket for its streams."""
    port = free_port()
    command: Command = [needs("socat"), f"TCP-LISTEN:{port},bind={LOCALHOST},fork,backlog=64", "EXEC:cat,nofork"]
    with serving(command, through) as server:
        wait_until(lambda: listens(port), "socat listens")
        answers = [ask(port, content(BODY // 4 + number, number), ends=True) for number in range(6)]
        server.signal(signal.SIGTERM)
        finished = server.wait()
    assert all(answer.flow.outgoing_digest == answer.flow.incoming_digest for answer in answers)
    saw_everything(finished, through, turned(answers), "accept", lingers=True)  # the last child may just be ending


def listens(port: int) -> bool:
    """Whether somebody listens there; asks the kernel, since a probe would be somebody's only connection."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


# --- swarms -----------------------------------------------------------------------------------------------------------


@some_chains
@pytest.mark.parametrize("kept", [False, True], ids=["closed", "kept"])
def test_ab(kept: bool, through: Chain, tmp_path: Path) -> None:
    """Many short connections, or few long ones, of HTTP/1.0; both ends through the layers."""
    web = nginx(tmp_path)
    (web.files / "small").write_bytes(content(2000, 1))
    command = [needs("ab"), "-q", "-n", "600", "-c", "20", *(["-k"] if kept else [])]
    with serving_nginx(web, through) as server:
        client = supervised(*command, f"http://{LOCALHOST}:{web.port}/small", options=through.options)
        server.signal(signal.SIGQUIT)
        finished = server.wait()
    assert client.status == 0, client.text
    lines = dict(line.split(":", 1) for line in client.stdout.decode().splitlines() if ":" in line)
    assert {name: lines[name].split()[0] for name in ("Complete requests", "Failed requests")} == {
        "Complete requests": "600",
        "Failed requests": "0",
    }
    (witness,) = through.witnesses
    near, far = flows_told(client, witness, "connect"), flows_told(finished, witness, "accept")
    assert len(near) <= (40 if kept else 640)
    assert Counter(far) == Counter([flow.turned for flow in near] + [PROBE if through.digests else PROBE.counts])
    nothing_passed(client)
    nothing_passed(finished)


@some_chains
def test_redis_benchmark(through: Chain, tmp_path: Path) -> None:
    """Questions and answers, 20 connections, with and without pipelining."""
    port = free_port()
    words = f"--port {port} --bind {LOCALHOST} --appendonly no --daemonize no --dir {tmp_path}".split()
    command: Command = [needs("redis-server"), *words, "--save", ""]
    with serving(command, through) as server:
        while "eady to accept connections" not in (line := server.line()):
            assert line, "the server ended"
        base = f"{needs('redis-benchmark')} -h {LOCALHOST} -p {port} -q -c 20 -t set,get,lpush -d 100"
        client = supervised("sh", "-c", f"{base} -n 2000 && {base} -n 20000 -P 16", options=through.options)
        server.signal(signal.SIGTERM)
        finished = server.wait()
    assert (client.status, finished.status) == (0, 0)
    (witness,) = through.witnesses
    near, far = flows_told(client, witness, "connect"), flows_told(finished, witness, "accept")
    assert Counter(far) == Counter(flow.turned for flow in near)
    assert len(near) >= 120
    nothing_passed(client)
    nothing_passed(finished)
