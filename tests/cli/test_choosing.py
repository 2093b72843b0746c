"""`--layer NAME[,option=value]...`: what it names, and what its options come to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, NewType, Optional

import pytest

from winsock.cli import choosing
from winsock.cli.choosing import choose, field_types, installed
from winsock.cli.words import UsageError
from winsock.dispatcher import loader
from winsock.spi.layer import Layer

HEAD = "from winsock import Layer\n\n\n"
ONE, TWO = "class One(Layer):\n    pass\n", "class Two(Layer):\n    name = 'second'\n"


class Colour(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Plain(Layer):
    """No options."""


class Rich(Layer):
    """An option of each type."""

    @dataclass
    class Options:
        whole: int = 1
        part: float = 0.5
        word: str = "x"
        flag: bool = False
        path: Path = Path()
        colour: Colour = Colour.RED
        maybe: int | None = None
        perhaps: Optional[float] = None  # noqa: UP045 - people write it so
        mode: Literal["fast", "slow"] = "fast"
        two_words: int = 0
        untyped: Any = None
        words: list[str] = field(default_factory=list)


class Demanding(Layer):
    """Does not go without."""

    @dataclass
    class Options:
        port: int
        least: int = 0

        def __post_init__(self) -> None:
            if self.least > self.port:
                raise ValueError(f"least is {self.least}, more than the port")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be in, and an import system that forgets what it found there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    resolved = dict(loader._resolved)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    loader._resolved.clear()
    loader._resolved.update(resolved)


def named(kind: type, settings: str = "") -> str:
    return f"{kind.__module__}:{kind.__qualname__}{settings}"


def options(settings: str) -> Any:
    return choose(named(Rich, "," + settings)).options


# --- how a layer is named ------------------------------------------------------------------------------------------


def test_ours_is_found_without_a_look_at_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "installed", lambda: pytest.fail("nobody is to look"))
    assert choose("trace")[:3] == ("trace", "winsock.layers.trace:Trace", None)


def test_a_name_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "installed", lambda: {**choosing.OURS, "offered": named(Plain)})
    assert choose("offered")[:3] == ("plain", named(Plain), None)


def test_ours_are_installed_too() -> None:
    assert installed()["trace"] == choosing.OURS["trace"]


def test_an_import_path() -> None:
    assert choose(named(Plain))[:3] == ("plain", named(Plain), None)


def test_an_import_path_into_the_folder_we_are_in(folder: Path) -> None:
    (folder / "beside.py").write_text(HEAD + ONE)
    assert choose("beside:One").path == "beside:One"


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_file(folder: Path, prefix: str) -> None:
    (folder / "mine.py").write_text(HEAD + ONE)
    assert choose(f"{prefix}mine.py")[:3] == ("one", str(folder / "mine.py"), None)


def test_a_file_by_its_whole_path(folder: Path) -> None:
    (folder / "mine.py").write_text(HEAD + ONE)
    assert choose(f"{folder}/mine.py").path == str(folder / "mine.py")


def test_a_class_in_a_file(folder: Path) -> None:
    (folder / "both.py").write_text(HEAD + ONE + "\n\n" + TWO)
    assert choose("both.py:Two")[:3] == ("second", f"{folder}/both.py:Two", None)
    assert choose("./both.py:One")[:3] == ("one", f"{folder}/both.py:One", None)


WITH_NEIGHBOUR = f"""import {{}}\n{HEAD}\nclass One(Layer):\n    word = {{}}.WORD\n"""


def test_a_file_in_another_folder_imports_what_is_beside_it(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "mine.py").write_text(WITH_NEIGHBOUR.format("neighbour", "neighbour"))
    (folder / "deep" / "neighbour.py").write_text("WORD = 'beside'\n")
    assert loader.resolve(choose("deep/mine.py").path).word == "beside"


def test_what_is_beside_a_file_stands_for_no_module_of_the_system(folder: Path) -> None:
    (folder / "wave.py").write_text("WORD = 'beside'\n")
    sys.modules.pop("wave", None)
    (folder / "mine.py").write_text(f"import wave\n{HEAD}\nclass One(Layer):\n    of = wave.__file__\n")
    assert not loader.resolve(choose("mine.py").path).of.startswith(str(folder))


@pytest.mark.parametrize("name", ["neighbour.py", "neighbour"])
def test_a_file_that_is_to_stand_alone_does_not(folder: Path, name: str) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "mine.py").write_text(WITH_NEIGHBOUR.format("neighbour", "neighbour"))
    if name.endswith(".py"):
        (folder / "deep" / name).write_text("WORD = 'beside'\n")
    else:
        (folder / "deep" / name).mkdir()
    with pytest.raises(UsageError, match=r"No module named 'neighbour'.*stands alone: make a package of it and neighb"):
        choose("deep/mine.py", alone=True)


def test_of_a_module_that_is_nowhere_no_more_is_said(folder: Path) -> None:
    (folder / "mine.py").write_text(WITH_NEIGHBOUR.format("neighbour", "neighbour"))
    with pytest.raises(UsageError, match=r"No module named 'neighbour' \([^)]*\)$"):
        choose("mine.py", alone=True)


# --- what is wrong with a name -------------------------------------------------------------------------------------


def test_an_unknown_name_lists_what_there_is_nearest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "installed", lambda: dict.fromkeys(("capture", "socks", "trace"), "a:b"))
    with pytest.raises(UsageError) as caught:
        choose("trase")
    assert str(caught.value).startswith("there is no layer 'trase'; there are: trace, ")
    assert "(or a file ./mine.py, or package.module:Class)" in str(caught.value)


def test_a_file_that_was_named_without_its_ending_is_guessed(folder: Path) -> None:
    (folder / "mine.py").write_text(HEAD + ONE)
    with pytest.raises(UsageError, match=r"did you mean --layer \./mine\.py\?"):
        choose("mine")


def test_a_file_in_a_folder_too(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "mine.py").write_text(HEAD + ONE)
    with pytest.raises(UsageError, match=r"there is no layer 'deep/mine'; did you mean --layer deep/mine\.py\?; there"):
        choose("deep/mine")


def test_a_module_without_its_class_is_guessed() -> None:
    with pytest.raises(
        UsageError, match=r"did you mean a class of that module, --layer winsock\.layers\.trace:Class\?"
    ):
        choose("winsock.layers.trace")


@pytest.mark.parametrize("name", ["gone.py", "./gone.py", "./gone.py:One"])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match=r"there is no file (\./)?gone\.py"):
        choose(name)


def test_a_file_that_does_not_import(folder: Path) -> None:
    (folder / "broken.py").write_text("import os\n\nos.no_such_thing\n")
    with pytest.raises(UsageError, match=r"AttributeError.*broken\.py, line 3"):
        choose("broken.py")
    (folder / "syntax.py").write_text("\nclass\n")
    with pytest.raises(UsageError, match=r"SyntaxError.*syntax\.py, line 2"):
        choose("syntax.py")


@pytest.mark.parametrize("kind", ["Layer", "StreamLayer"])
@pytest.mark.parametrize("name", ["5", "''", "property(str)"])
def test_a_file_whose_layer_is_called_by_no_text(folder: Path, kind: str, name: str) -> None:
    (folder / "odd.py").write_text(f"from winsock import {kind}\n\n\nclass Odd({kind}):\n    name = {name}\n")
    with pytest.raises(UsageError, match=r"TypeError: Odd\.name is .*, and a name is a text \(.*odd\.py, line 4\)"):
        choose("odd.py")


def test_a_file_with_no_layer_or_several(folder: Path) -> None:
    (folder / "none.py").write_text(HEAD)
    with pytest.raises(UsageError, match="defines no layer"):
        choose("none.py")
    (folder / "both.py").write_text(HEAD + ONE + "\n\n" + TWO)
    with pytest.raises(UsageError, match=r"One, Two; say which, as .*both\.py:One"):
        choose("both.py")
    with pytest.raises(UsageError, match="there is no Three; layers defined there: One, Two"):
        choose("both.py:Three")


@pytest.mark.parametrize("name", ["no.such.module:One", "winsock.spi.layer:Nothing", ":One", "a:", ":"])
def test_an_import_path_that_leads_nowhere(name: str) -> None:
    with pytest.raises(UsageError, match="--layer "):
        choose(name)


@pytest.mark.parametrize("name", ["", " ", ".py", ".py:One", "..", "/"])
def test_odd_names_are_wrong_use_and_no_crash(name: str) -> None:
    with pytest.raises(UsageError):
        choose(name)


# --- options -------------------------------------------------------------------------------------------------------


def test_what_is_not_set_has_its_default() -> None:
    assert choose(named(Rich)).options == Rich.Options()
    assert choose(named(Plain)).options is None


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("whole=-7", "whole", -7),
        ("part=2.5", "part", 2.5),
        ("part=3", "part", 3.0),
        ("word=a b", "word", "a b"),
        ("word=a=b", "word", "a=b"),
        ("word=", "word", ""),
        ("flag", "flag", True),
        ("flag=yes", "flag", True),
        ("flag=ON", "flag", True),
        ("flag=0", "flag", False),
        ("flag=False", "flag", False),
        ("path=/etc/hosts", "path", Path("/etc/hosts")),
        ("colour=blue", "colour", Colour.BLUE),
        ("colour=BLUE", "colour", Colour.BLUE),
        ("maybe=3", "maybe", 3),
        ("perhaps=1.5", "perhaps", 1.5),
        ("mode=slow", "mode", "slow"),
        ("two-words=2", "two_words", 2),
        ("two_words=2", "two_words", 2),
        (" whole=2", "whole", 2),
        ("untyped=text", "untyped", "text"),
    ],
)
def test_a_setting_becomes_a_value_of_the_fields_type(setting: str, name: str, value: Any) -> None:
    given = options(setting)
    assert getattr(given, name) == value
    assert type(getattr(given, name)) is type(value)


def test_several_settings() -> None:
    given = options("whole=2,flag,word=z")
    assert (given.whole, given.flag, given.word, given.part) == (2, True, "z", 0.5)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("whole=two", "whole='two' is not of type int"),
        ("whole", "whole wants a value, whole=VALUE: of type int"),
        ("word", "word wants a value, word=VALUE: of type str"),
        ("colour", "colour wants a value, colour=red: of type Colour, which is one of red, blue"),
        ("whole=", "whole='' is not of type int"),
        ("part=much", "part='much' is not of type float"),
        ("flag=maybe", "flag='maybe' is not of type bool, which is yes or no"),
        ("colour=green", "colour='green' is not of type Colour, which is one of red, blue"),
        ("maybe=none", "maybe='none' is not of type int"),
        ("mode=medium", "mode='medium' is not one of fast, slow"),
    ],
)
def test_a_value_of_another_type_is_told(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        options(setting)


class Speed(Enum):
    """A choice of what is no text."""

    FAST = 1
    SLOW = 2


Port = NewType("Port", int)


class Choosy(Layer):
    """Options of types that a text becomes with more trouble."""

    @dataclass
    class Options:
        kept: ClassVar[int] = 5
        speed: Speed = Speed.FAST
        maybe: Speed | None = None
        several: list[Literal["a", "b"]] = field(default_factory=list)
        either: int | str = 0
        port: Port = Port(80)
        sum: Decimal = Decimal(1)
        raw: bytes = b""
        made: int = field(default=3, init=False)

        def __post_init__(self) -> None:
            if self.port == 13:
                raise KeyError("unlucky")


def choosy(settings: str) -> Any:
    return choose(named(Choosy, "," + settings)).options


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("speed=SLOW", "speed", Speed.SLOW),
        ("speed=2", "speed", Speed.SLOW),
        ("maybe=SLOW", "maybe", Speed.SLOW),
        ("several=a,several=b", "several", ["a", "b"]),
        ("either=7", "either", 7),
        ("either=seven", "either", "seven"),
        ("port=81", "port", 81),
        ("sum=1.5", "sum", Decimal("1.5")),
        ("raw=text", "raw", b"text"),
    ],
)
def test_a_text_becomes_what_its_field_takes(setting: str, name: str, value: Any) -> None:
    given = getattr(choosy(setting), name)
    assert (given, type(given)) == (value, type(value))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("speed=3", "speed='3' is not of type Speed, which is one of FAST, SLOW"),
        ("maybe=fast", "maybe='fast' is not of type Speed, which is one of FAST, SLOW"),
        ("several=c", "several='c' is not one of a, b"),
        ("several", "several wants a value, several=a: one of a, b"),
        ("port=x", "port='x' is not of type int"),
        ("sum=x", "sum='x' is not of type Decimal"),
        ("port=13", "KeyError: 'unlucky'"),
        ("kept=1", "there is no option 'kept'"),
        ("made=1", "there is no option 'made'"),
    ],
)
def test_what_does_not_become_it_is_told_with_the_choices(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choosy(setting)


class Many(Layer):
    """Options that may repeat."""

    @dataclass
    class Options:
        words: list[str] = field(default_factory=list)
        ports: set[int] | None = None
        pair: tuple[int, ...] = ()
        plain: list = field(default_factory=list)  # type: ignore[type-arg]
        table: dict[str, int] = field(default_factory=dict)


def test_an_option_that_repeats_fills_a_list() -> None:
    given = choose("tests.cli.test_choosing:Many,words=b,ports=2,words=a,ports=2,pair=7,plain=x").options
    assert given == Many.Options(["b", "a"], {2}, (7,), ["x"])


@pytest.mark.parametrize(
    ("setting", "said"),
    [("ports=x", "ports='x' is not of type int"), ("table=a", r"table='a' is not of type dict\[str, int\]")],
)
def test_what_cannot_be_in_it_is_told(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose(f"tests.cli.test_choosing:Many,{setting}")


@pytest.mark.parametrize("setting", ["wohle=1", "=1", "", "flag,,whole=2"])
def test_an_unknown_option_lists_what_there_is_nearest_first(setting: str) -> None:
    with pytest.raises(UsageError, match=r"there is no option '\w*'; there are: ") as caught:
        options(setting)
    listed = str(caught.value).partition("there are: ")[2].split(", ")
    assert sorted(listed) == sorted(field_types(Rich.Options))
    if setting.startswith("wohle"):
        assert listed[0] == "whole"


class Undecorated(Layer):
    """Forgot @dataclass."""

    class Options:
        whole: int = 1


def test_options_that_are_no_dataclass_cannot_be_set() -> None:
    given: Any = choose(named(Undecorated)).options
    assert given.whole == 1
    with pytest.raises(UsageError, match=r"Undecorated\.Options is no dataclass \(@dataclass\), so 'whole=2' means"):
        choose(named(Undecorated, ",whole=2"))


def test_a_layer_without_options() -> None:
    with pytest.raises(UsageError, match="this layer has no options, so 'volume=1' means nothing"):
        choose(named(Plain, ",volume=1"))


def test_what_the_options_themselves_refuse() -> None:
    with pytest.raises(UsageError, match="least is 9, more than the port"):
        choose(named(Demanding, ",port=1,least=9"))
    with pytest.raises(UsageError, match="port"):
        choose(named(Demanding))
    assert choose(named(Demanding, ",port=1")).options == Demanding.Options(1)


def test_a_type_that_nobody_knows(folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n" + HEAD + "class Odd(Layer):\n"
        "    @dataclass\n    class Options:\n        size: Unheard = 1\n"
    )
    with pytest.raises(UsageError, match=r"types of the options of Odd\.Options cannot be read: .*Unheard"):
        choose("odd.py")


def test_a_type_that_cannot_be_made(folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from __future__ import annotations\nimport typing\nfrom dataclasses import dataclass\n" + HEAD
        + "class Odd(Layer):\n    @dataclass\n    class Options:\n        size: typing.Integer = 1\n"
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"types of the options of Odd\.Options cannot be read: .*Integer"):
        choose("odd.py")


def test_the_types_of_fields() -> None:
    assert list(field_types(Demanding.Options).items()) == [("port", int), ("least", int)]
    assert field_types(Plain) == {}
