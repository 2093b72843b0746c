"""`--layer`: names, import paths, files, options; and what is said where one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import PROGRAMS, PYTHON, Finished, WebServer, environment, supervised, winsock

HEAD = "from winsock import Layer, WinsockError\nfrom dataclasses import dataclass\n\n\n"
SAY = "class {name}(Layer):\n    def connecting(self, address):\n        self.log('called {name}')\n"
OPTIONS = (
    "class Loud(Layer):\n    @dataclass\n    class Options:\n        volume: int = 3\n        times: int = 1\n"
    "        soft: bool = False\n        word: str = 'x'\n\n    def connecting(self, address):\n"
    "        self.log(repr(self.options))\n"
)


def dial(server: WebServer, *layers: str, cwd: Path, **variables: str) -> Finished:
    """A plain client under these layers, started in a folder."""
    program = (PYTHON, PROGRAMS / "dial.py", server.host, str(server.port))
    options = [word for layer in layers for word in ("--layer", layer)]
    env = environment(**variables)
    if "PYTHONPATH" in variables:
        env["PYTHONPATH"] = f"{variables['PYTHONPATH']}:{environment()['PYTHONPATH']}"
    finished = supervised(*program, options=options, cwd=cwd, env=env)
    assert finished.same == (0, server.body), finished.text
    return finished


def refused(*layers: str, cwd: Path) -> str:
    """What is said where these layers cannot be used; nothing is run."""
    options = [word for layer in layers for word in ("--layer", layer)]
    finished = winsock("run", *options, "--", "echo", "ran", cwd=cwd)
    assert (finished.status, finished.stdout) == (2, b"")
    assert "Traceback" not in finished.text
    assert finished.text.startswith("winsock: ")
    explained = winsock("explain", *options, cwd=cwd)
    assert (explained.status, explained.stdout, explained.stderr) == (2, b"", finished.stderr)
    return finished.text.strip()


def logged(finished: Finished) -> list[str]:
    """The lines that layers logged."""
    return [record["text"] for record in finished.events("log")]


# --- how a layer is named ---------------------------------------------------------------------------------------------


def test_a_file_that_holds_one_layer(tmp_path: Path, server: WebServer) -> None:
    (tmp_path / "mine.py").write_text(HEAD + SAY.format(name="Mine"))
    assert logged(dial(server, "./mine.py", cwd=tmp_path)) == ["called Mine"]


def test_a_file_that_holds_several(tmp_path: Path, server: WebServer) -> None:
    (tmp_path / "both.py").write_text(HEAD + SAY.format(name="One") + "\n" + SAY.format(name="Two"))
    assert logged(dial(server, "./both.py:Two", cwd=tmp_path)) == ["called Two"]
    assert logged(dial(server, "./both.py:Two", "both.py:One", cwd=tmp_path)) == ["called Two", "called One"]
    text = refused("./both.py", cwd=tmp_path)
    assert "One" in text
    assert "Two" in text
    assert "Three" in refused("./both.py:Three", cwd=tmp_path)


def test_an_import_path(tmp_path: Path, server: WebServer) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "module.py").write_text(HEAD + SAY.format(name="Inner"))
    assert logged(dial(server, "package.module:Inner", cwd=tmp_path)) == ["called Inner"]
    assert "package.nothing" in refused("package.nothing:Inner", cwd=tmp_path)


def test_a_name_that_a_package_offers(tmp_path: Path, server: WebServer) -> None:
    install(tmp_path)
    finished = dial(server, "offered", "trace", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert logged(finished) == ["called Offered"]
    assert len(finished.events("connect")) == 1


def install(folder: Path) -> None:
    """A package with a layer, as pip would leave it."""
    (folder / "stranger.py").write_text(HEAD + SAY.format(name="Offered"))
    info = folder / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[winsock.layers]\noffered = stranger:Offered\n")


def test_layers_lists_what_packages_offer_and_their_options(tmp_path: Path) -> None:
    install(tmp_path)
    (tmp_path / "stranger.py").write_text(HEAD + OPTIONS.replace("Loud", "Offered"))
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    text = winsock("layers", env={**environment(), "PYTHONPATH": path}).stdout.decode()
    assert "\noffered " in f"\n{text}"
    assert "option volume=int (default 3)" in text
    assert "overrides: WSPConnect" in text


# --- options ----------------------------------------------------------------------------------------------------------


def test_options_are_set_with_their_types(tmp_path: Path, server: WebServer) -> None:
    (tmp_path / "loud.py").write_text(HEAD + OPTIONS)
    finished = dial(server, "./loud.py,volume=11,soft,word=a b", cwd=tmp_path)
    assert logged(finished) == ["Loud.Options(volume=11, times=1, soft=True, word='a b')"]


def test_an_unknown_option_lists_what_there_is_nearest_first(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(HEAD + OPTIONS)
    text = refused("./loud.py,tmes=2", cwd=tmp_path)
    assert "there is no option 'tmes'; there are: times, " in text
    assert "volume" in text
    assert "volume='eleven' is not of type int" in refused("./loud.py,volume=eleven", cwd=tmp_path)
    assert "this layer has no options" in refused("trace,verbose=1", cwd=tmp_path)


# --- what cannot be used ----------------------------------------------------------------------------------------------


def test_an_unknown_layer_lists_what_there_is(tmp_path: Path) -> None:
    assert refused("trcae", cwd=tmp_path).startswith("winsock: there is no layer 'trcae'; there are: trace")
    assert "there is no file ./none.py" in refused("./none.py", cwd=tmp_path)
    (tmp_path / "mine.py").write_text(HEAD + SAY.format(name="Mine"))
    assert "did you mean --layer ./mine.py?" in refused("mine", cwd=tmp_path)


def test_an_unknown_layer_lists_the_nearest_first(tmp_path: Path) -> None:
    install(tmp_path)
    env = {**environment(), "PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"}
    finished = winsock("run", "--layer", "oferd", "--", "true", env=env)
    assert finished.status == 2
    assert "there are: offered, trace" in finished.text


BROKEN = {
    "import no_such_module_at_all\n": ("ModuleNotFoundError: No module named 'no_such_module_at_all'", 1),
    "x = 1\nx.missing\n": ("AttributeError: 'int' object has no attribute 'missing'", 2),
    "def broken(:\n": ("SyntaxError: ", 1),
    "\n\nraise RuntimeError('told so')\n": ("RuntimeError: told so", 3),
    "import json\njson.loads('{')\n": ("JSONDecodeError: ", 2),
    "import sys\nsys.exit(3)\n": ("SystemExit: 3", 2),
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_file_that_does_not_import_shows_error_file_and_line(tmp_path: Path, code: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(code)
    error, line = BROKEN[code]
    text = refused("./broken.py", cwd=tmp_path)
    assert error in text
    assert f"({file}, line {line})" in text


def test_a_file_without_a_layer_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("from winsock import Layer\n")
    assert "empty.py" in refused("./empty.py", cwd=tmp_path)


NOT_CARRIED = {
    "class Mine(Layer):\n    def WSPSend(self, *arguments): pass\n": "overrides WSPSend",
    "class Mine(Layer):\n    def WSPRecv(self, *arguments): pass\n": "overrides WSPRecv",
    "class Mine(Layer):\n    def WSPSendTo(self, *arguments): pass\n": "overrides WSPSendTo",
    "class Mine(Layer):\n    def WSPRecvFrom(self, *arguments): pass\n": "overrides WSPRecvFrom",
    "class Mine(Layer):\n    def outgoing(self, data): return data.upper()\n": "is no winsock.StreamLayer",
    "class Mine(Layer):\n    enforces = True\n    def connecting(self, address): pass\n": "enforces = True",
}


@pytest.mark.parametrize("code", NOT_CARRIED)
def test_a_layer_that_cannot_be_carried_is_refused_and_never_run_as_if_it_worked(tmp_path: Path, code: str) -> None:
    (tmp_path / "mine.py").write_text(HEAD + code)
    for layers in (["./mine.py"], ["trace", "./mine.py"]):
        text = refused(*layers, cwd=tmp_path)
        assert NOT_CARRIED[code] in text
        assert "this version of winsock run cannot carry that" in text


def test_a_function_that_no_call_reaches_is_told_at_the_start(tmp_path: Path, server: WebServer) -> None:
    (tmp_path / "mine.py").write_text(HEAD + "class Mine(Layer):\n    def WSPCloseSocket(self, s): pass\n")
    (line,) = logged(dial(server, "./mine.py", cwd=tmp_path))
    assert "layer mine: not called under run: WSPCloseSocket" in line
    assert "`closed`" in line
