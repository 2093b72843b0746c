"""The `winsock` command: its subcommands in this process, and what is said where they are used wrongly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import pytest

from tests.drivers.layers import Shout
from tests.fakes import RecordingBase
from tests.puppet import ROOT
from winsock import __version__
from winsock.catalog.entries import BUILTIN
from winsock.cli import COMMANDS, choosing, main
from winsock.cli.run import make_plan, split
from winsock.cli.words import UsageError
from winsock.spi.layer import Layer
from winsock.supervisor import run as supervised


class Colour(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Rich(Layer):
    """Has options.

    And says more of them.
    """

    @dataclass
    class Options:
        port: int
        volume: float = field(default=0.5, metadata={"help": "how loud"})
        names: list[str] = field(default_factory=list)
        colour: Colour = Colour.RED
        speed: Literal["fast", "slow"] = field(kw_only=True)
        made: int = field(default=0, init=False)

    def connecting(self, address: Any) -> None:
        return None


class Silent(Layer):
    __doc__ = None


class Unheard(Layer):
    """Its options have a type that nobody knows."""

    @dataclass
    class Options:
        size: "Whatever" = 0  # type: ignore[name-defined]  # noqa: F821, UP037


def no_default() -> int:
    raise RuntimeError("no default today")


class Hostile(Layer):
    """The default of its option raises."""

    @dataclass
    class Options:
        size: int = field(default_factory=no_default)


class PlainOptions(Layer):
    """Its options are no dataclass."""

    class Options:
        size: int = 1


PROVIDER = RecordingBase()


def path_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


# --- which command -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["-h"], 0), (["--help"], 0), (["help"], 0)])
def test_help_names_every_command(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status
    out = capsys.readouterr().out
    for name, what in COMMANDS.items():
        assert f"  {name}" in out
        assert what in out


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr().out == f"winsock {__version__}\n"


def test_an_unknown_command_lists_what_there_is_nearest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docter"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("winsock: there is no command 'docter'; there are: doctor, ")


def as_script(*arguments: str, unbuffered: str = "", **streams: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "winsock.cli", *arguments]
    return subprocess.run(command, env=environment, text=True, stderr=subprocess.PIPE, check=False, **streams)


def test_as_a_script_it_takes_the_arguments_of_its_process_and_says_everything() -> None:
    done = as_script("catalog", "show", "--json", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == len(BUILTIN)
    done = as_script("unheard-of", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no command 'unheard-of'" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_reason_to_complain(unbuffered: str) -> None:
    """Whether that shows when the first line is printed, or at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = as_script("catalog", "show", unbuffered=unbuffered, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"winsock {command}" in capsys.readouterr().out


# --- run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ours", "program"),
    [
        ("-- curl -v", [], ["curl", "-v"]),
        ("curl -v -- x", [], ["curl", "-v", "--", "x"]),
        ("--layer a --strict -- p", ["--layer", "a", "--strict"], ["p"]),
        ("--layer a p --strict", ["--layer", "a"], ["p", "--strict"]),
        ("--layer=a p", ["--layer=a"], ["p"]),
        ("-o f p", ["-o", "f"], ["p"]),
        ("-of p", ["-of"], ["p"]),
        ("--drain 3 --output x p -- q", ["--drain", "3", "--output", "x"], ["p", "--", "q"]),
        ("--wait-all --", ["--wait-all"], []),
        ("--layer --", ["--layer", "--"], []),
        ("--layer", ["--layer"], []),
        ("", [], []),
        ("-- -- p", [], ["--", "p"]),
    ],
)  # fmt: skip
def test_where_our_arguments_end(words: str, ours: list[str], program: list[str]) -> None:
    assert split(words.split()) == (ours, program)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been run."""
    begun: list[Any] = []

    def run(plan: Any, program: list[str], choices: Any, inheritance: Any) -> int:
        begun.append((plan, program, choices))
        return 7

    monkeypatch.setattr(supervised, "run", run)
    return begun


def test_run_begins_with_what_was_chosen(runs: list[Any]) -> None:
    assert main(["run", "--", "prog", "arg"]) == 7
    assert main(["run", "-o", "file", "--format", "json", "--strict", "--drain", "1.5", "--wait-all", "prog"]) == 7
    (plan, program, choices), (_, _, chosen) = runs
    assert ([layer.spec.name for layer in plan.layers], program) == (["trace"], ["prog", "arg"])
    assert choices == supervised.Choices()
    assert chosen == supervised.Choices(json=True, output="file", strict=True, drain=1.5, wait_all=True)


def test_layers_are_in_the_order_of_the_command_line(runs: list[Any]) -> None:
    assert main(["run", "--layer", path_of(Silent), "--layer=trace", "prog"]) == 7
    assert [layer.spec.name for layer in runs[0][0].layers] == ["silent", "trace"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "winsock: which program?"),
        (["--"], "winsock: which program?"),
        (["--layer", "trcae", "--", "prog"], "winsock: there is no layer 'trcae'; there are: trace"),
        (["--layer", path_of(RecordingBase), "prog"], "is not a subclass of winsock.Layer"),
    ],
)
def test_wrong_use_of_run(arguments: list[str], said: str, runs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, runs) == ("", [])
    assert said in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--drain", "soon"],
        ["--drain", "-1"],
        ["--drain", "inf"],
        ["--drain", "nan"],
        ["--format", "xml"],
        ["--lay", "trace"],
        ["--layer"],
        ["--unheard-of"],
    ],
)
def test_wrong_options_of_run(arguments: list[str], runs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", *arguments, "--", "prog"])
    assert (caught.value.code, runs) == (2, [])
    out, err = capsys.readouterr()
    assert out == ""
    assert "winsock run" in err


def test_what_cannot_be_supervised(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*_: Any) -> int:
        raise PermissionError(13, "Permission denied", "/nowhere/lines")

    monkeypatch.setattr(supervised, "run", run)
    assert main(["run", "prog"]) == 125
    assert "/nowhere/lines" in capsys.readouterr().err


def test_another_system_than_linux(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main(["run", "prog"]) == 125
    assert capsys.readouterr().err == "winsock: run needs Linux (seccomp); this is darwin\n"


def test_too_many_layers_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="6 layers"):
        make_plan([path_of(Silent)] * 7)


# --- explain -------------------------------------------------------------------------------------------------------


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--layer", "trace", "--layer", path_of(Silent), "--", "prog", "-x"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("chain: trace > silent > tcp/ipv4")
    assert f"layer silent ({path_of(Silent)})" in lines
    assert "  overrides: nothing that a call of the program reaches" in lines
    assert any(line.split() == ["connect", "every", "call"] for line in lines)
    assert lines[-1] == "program: prog -x"


def test_explain_tells_of_a_relay(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--layer", path_of(Shout)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  gets the bytes of TCP connections: those that it wants go through a relay" in lines
    assert [line.split()[1:3] for line in lines if line.split()[0] == "accept4"] == [["every", "call"]]
    assert not [line for line in lines if line.split()[0] in ("recvfrom", "recvmsg")]


def test_explain_refuses_what_run_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--layer", path_of(RecordingBase)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("winsock: ")


# --- layers and catalog --------------------------------------------------------------------------------------------


def listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **layers: str) -> dict[str, list[str]]:
    """What `winsock layers` says of each."""
    monkeypatch.setattr(choosing, "installed", lambda: layers)
    assert main(["layers"]) == 0
    said: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        name = line[:12].strip()
        if not line or line.startswith("Your own"):
            break
        if name:
            said[current := name] = []
        said[current].append(line[13:])
    return said


def test_layers_are_listed_with_options_and_functions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = listed(monkeypatch, capsys, rich=path_of(Rich), silent=path_of(Silent), trace=choosing.OURS["trace"])
    assert said["rich"] == [
        "Has options.",
        "overrides: WSPConnect",
        "option port=int (required)",
        "option volume=float (default 0.5) how loud",
        "option names=list (default [])",
        "option colour=red|blue (default red)",
        "option speed=fast|slow (required)",
    ]
    assert said["silent"] == [path_of(Silent), "overrides: nothing", "options: none"]
    assert "WSPConnect" in said["trace"][1]


def test_a_layer_that_cannot_be_used_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = listed(
        monkeypatch,
        capsys,
        gone="no.such.module:Layer",
        odd=path_of(Unheard),
        provider=f"{__name__}:PROVIDER",
        silent=path_of(Silent),
        call="os:getcwd",
        wrong="builtins:int",
        plain=path_of(PlainOptions),
        hostile=path_of(Hostile),
    )
    assert "cannot be used: os:getcwd is no layer" in said["call"][0]
    assert "cannot be used: builtins:int is no layer" in said["wrong"][0]
    assert said["plain"][2] == "options: none, for Options is no dataclass"
    assert said["hostile"][0].endswith("Hostile: RuntimeError: no default today")
    assert "cannot be used: no.such.module:Layer could not be imported" in said["gone"][0]
    assert "cannot be used: the types of the options of Unheard.Options cannot be read" in said["odd"][0]
    assert said["provider"][0].startswith("TCP and UDP by the `socket` module")
    assert said["silent"][1] == "overrides: nothing"


def test_the_catalog_as_lines_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["catalog", "show", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["id"] for record in records] == [entry.info.dwCatalogEntryId for entry in BUILTIN]
    assert [line.split()[0] for line in lines] == [str(record["id"]) for record in records]
    assert records[0] == {
        "id": 1001,
        "name": "MSAFD Tcpip [TCP/IP]",
        "family": 2,
        "type": 1,
        "protocol": 6,
        "kind": "base",
        "chain": [],
        "provider": "{e70f1aa0-ab8b-11cf-8ca3-00805f48a192}",
        "path": "winsock.base.inet:Inet",
    }


def test_the_catalog_wants_to_know_what(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["catalog"])
    assert caught.value.code == 2


# --- doctor --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("healthy", [True, False])
def test_doctors_status_says_whether_programs_can_be_supervised(
    healthy: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from winsock.supervisor import doctor

    monkeypatch.setattr(doctor, "checks", lambda: ["checked"])
    monkeypatch.setattr(doctor, "render_text", lambda checks: f"text of {checks}")
    monkeypatch.setattr(doctor, "as_json", lambda checks: json.dumps(checks))
    monkeypatch.setattr(doctor, "healthy", lambda checks: healthy)
    assert main(["doctor"]) == int(not healthy)
    assert capsys.readouterr().out == "text of ['checked']\n"
    assert main(["doctor", "--json"]) == int(not healthy)
    assert json.loads(capsys.readouterr().out) == ["checked"]


@pytest.mark.parametrize(
    ("typed", "prog", "told"),
    [
        ("run --strict=1 -- true", "run", "--strict takes no value"),
        ("run --outptu x -- true", "run", "there is no option --outptu; there are: --output, "),
        ("run --out x -- true", "run", "there is no option --out; there are: --output, "),
        ("run --layer", "run", "--layer wants NAME[,OPTION=VALUE]...: a layer, "),
        ("run --drain soon -- true", "run", "--drain: 'soon' is no number of seconds"),
        ("run --format jsn -- true", "run", "--format: there is no 'jsn'; there are: json, text"),
        ("run --format", "run", "--format wants one of: text, json"),
        ("explain --layer", "explain", "--layer wants NAME[,OPTION=VALUE]...: a layer, "),
        ("layers --jsn", "layers", "there is no option --jsn; there are: --help"),
        ("layers trace", "layers", "'trace' means nothing here"),
        ("doctor --jsn", "doctor", "there is no option --jsn; there are: --json, --help"),
        ("doctor --js", "doctor", "there is no option --js; there are: --json, --help"),
        ("doctor --json=yes", "doctor", "--json takes no value"),
        ("doctor kernel", "doctor", "'kernel' means nothing here"),
        ("catalog", "catalog", "which command? there are: show, install, "),
        ("catalog shwo", "catalog", "there is no command 'shwo'; there are: show, "),
        ("catalog --jsn show", "catalog", "there is no option --jsn; there are: --help"),
        ("catalog show --jsn", "catalog show", "there is no option --jsn; there are: --json, "),
        ("catalog show trace", "catalog show", "'trace' means nothing here"),
        ("catalog install", "catalog install", "LAYER[,OPTION=VALUE]... is missing: a name (winsock layers), "),
        ("catalog install trace --nme=x", "catalog install", "there is no option --nme; there are: --name, "),
        ("catalog install trace --over", "catalog install", "--over wants WHAT: cover only tcp, "),
        ("catalog remove", "catalog remove", "NAME|ID is missing: a layer's name, or the id"),
        ("catalog reorder", "catalog reorder", "ID|NAME is missing: an entry, or the chains"),
        ("catalog audit --josn", "catalog audit", "there is no option --josn; there are: --json, --help"),
        ("catalog reset all", "catalog reset", "'all' means nothing here"),
    ],
)
def test_wrong_use_says_what_there_is_in_every_command(
    typed: str, prog: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(typed.split())
    said, complained = capsys.readouterr()
    assert (left.value.code, said) == (2, "")
    assert complained.startswith(f"usage: winsock {prog} ")
    assert f"winsock {prog}: error: {told}" in complained
