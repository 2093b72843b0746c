"""The catalog on disk: transactional, for its user alone, whole at every moment."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.puppet import ROOT
from tests.refusals import refused
from winsock.abi.errors import WSAEINPROGRESS, WSAEINVAL, WSANO_RECOVERY, WinsockError
from winsock.abi.guids import GUID
from winsock.catalog import database, install, store
from winsock.catalog.entries import BUILTIN, Catalog
from winsock.catalog.install import Source
from winsock.catalog.settings import Settings
from winsock.catalog.store import Application, Installed

pytestmark = pytest.mark.usefixtures("catalog_file")

BACKWARDS = [entry.info.dwCatalogEntryId for entry in reversed(BUILTIN)]
FIRST = BACKWARDS[0] + 1
"""The id of what is installed first."""
NOBODY = 65534


def put(number: int, source: Source | None = None) -> Installed:
    """Install a layer."""
    guid, given = GUID(number, 0, 0, bytes(8)), source or Source("l:L")
    return store.change(
        lambda all: all._replace(native=install.install_with_chains(all.native, guid, given, f"l{number}", 0)[0])
    )


def layers() -> list[str]:
    return [entry.info.szProtocol for entry in store.read().native if entry.info.chain_length == 0]


def python(code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))), **more}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


# --- where it is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/dev/null", os.path.dirname(__file__)])
def test_what_is_no_file_is_no_catalog(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody is told to change the rights of a device."""
    monkeypatch.setenv("WINSOCK_CATALOG", place)
    for use in (store.read, lambda: put(1)):
        with refused(WSANO_RECOVERY) as refusal:
            use()
        assert "a folder or a device" in str(refusal.value)
        assert "chmod" not in str(refusal.value)


def test_a_link_to_nothing_is_not_followed_by_an_install(catalog_file: Path) -> None:
    catalog_file.parent.mkdir(mode=0o700)
    catalog_file.symlink_to(catalog_file.parent / "nowhere")
    with refused(WSANO_RECOVERY, "nowhere: No such file"):
        put(1)
    assert os.listdir(catalog_file.parent) == [catalog_file.name]


def test_no_file_means_what_is_built_in_and_nothing_is_written(catalog_file: Path) -> None:
    contents = store.read()
    assert contents.native.entries == contents.twin.entries == BUILTIN
    assert (contents.applications, contents.generation) == ((), 0)
    assert not catalog_file.parent.exists()


def test_a_change_that_is_refused_writes_nothing_either(catalog_file: Path) -> None:
    with refused(WSANO_RECOVERY):
        store.change(lambda all: all._replace(native=install.install_with_chains(Catalog([]), *_ARGUMENTS)[0]))
    assert store.change(lambda all: all).generation == 0
    assert not catalog_file.parent.exists()


_ARGUMENTS = (GUID(1, 0, 0, bytes(8)), Source("l:L"), "l", 0)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"WINSOCK_CATALOG": "/a/b.sqlite", "XDG_DATA_HOME": "/data"}, "/a/b.sqlite"),
        ({"WINSOCK_CATALOG": "b.sqlite"}, "{cwd}/b.sqlite"),
        ({"XDG_DATA_HOME": "/data"}, "/data/winsock/catalog.sqlite"),
        ({"XDG_DATA_HOME": "relative/is/ignored"}, "/home/somebody/.local/share/winsock/catalog.sqlite"),
        ({"WINSOCK_CATALOG": ""}, "/home/somebody/.local/share/winsock/catalog.sqlite"),
    ],
)
def test_there_is_one_a_user(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINSOCK_CATALOG")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert store.location() == expected.format(cwd=os.getcwd())


def test_the_file_is_for_its_user_alone(catalog_file: Path) -> None:
    old = os.umask(0)
    try:
        put(1)
    finally:
        os.umask(old)
    assert (catalog_file.stat().st_mode & 0o777, catalog_file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_sqlite_is_imported_only_where_there_is_a_file(catalog_file: Path) -> None:
    code = "import sys; from winsock.catalog import store; store.read(); print('sqlite3' in sys.modules)"
    assert python(code).stdout == "False\n"
    put(1)
    assert python(code).stdout == "True\n"


@pytest.mark.parametrize("name", ["a b.sqlite", "50%.sqlite", "what?.sqlite", "x#y.sqlite", "\udcff.sqlite"])
def test_any_name_will_do(name: str, catalog_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINSOCK_CATALOG", str(catalog_file.with_name(name)))
    put(1)
    assert layers() == ["l1"]
    assert os.listdir(catalog_file.parent) == [name]


# --- what it holds -------------------------------------------------------------------------------------------------


def test_everything_comes_back(catalog_file: Path) -> None:
    put(1, Source("/a/layer.py:L", Settings("volume=11,word=a b"), "ab12", 3))
    first = store.read()
    put(2)
    after = store.change(
        lambda all: all._replace(
            twin=install.order(all.twin, BACKWARDS),
            applications=(Application("/bin/a", None, 1 << 31), Application("/bin/a", "-x", 0)),
        )
    )
    again = store.read()
    assert [catalog.entries for catalog in again[:2]] == [catalog.entries for catalog in after[:2]]
    assert again[2:] == after[2:]
    assert (again.native.next_id, again.twin.next_id) == (FIRST + 10, FIRST)
    assert again.native.find(FIRST) == first.native.find(FIRST)
    assert again.native.find(FIRST).options == Settings("volume=11,word=a b")


def test_ids_are_not_given_again_though_the_last_entry_went() -> None:
    put(1)
    store.change(lambda all: all._replace(native=install.deinstall(all.native, GUID(1, 0, 0, bytes(8)))))
    put(1)
    assert min(entry.info.dwCatalogEntryId for entry in store.read().native.entries[:5]) == FIRST + 5


def test_each_change_has_another_number_and_no_change_has_none(catalog_file: Path) -> None:
    numbers = [put(1).generation, put(2).generation]
    before = catalog_file.read_bytes()
    numbers.append(store.change(lambda all: all).generation)
    assert catalog_file.read_bytes() == before
    assert numbers[1] == numbers[2] == numbers[0] + 1
    store.reset()
    assert put(1).generation not in numbers


BROKEN = "/srv/\udcff"
"""The name of a file that no text is."""


@pytest.mark.parametrize("application", [Application(BROKEN, None, 1), Application("/bin/true", BROKEN, 1)])
def test_what_is_no_text_cannot_be_kept(application: Application, catalog_file: Path) -> None:
    put(1)
    before = store.read()
    with refused(WSAEINVAL, "udcff"):
        put(2, Source(f"{BROKEN}:L"))
    with refused(WSAEINVAL, "udcff"):
        store.change(lambda all: all._replace(applications=(application,)))
    assert store.read().native.entries == before.native.entries
    assert store.read().generation == before.generation


def test_a_change_that_raises_changes_nothing(catalog_file: Path) -> None:
    put(1)
    before = store.read()

    def spoil(_: Installed) -> Installed:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.change(spoil)
    assert store.read().native.entries == before.native.entries
    put(2)


# --- whom it believes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o620, 0o602])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_others_can_write_is_refused_with_the_reason(what: str, mode: int, catalog_file: Path) -> None:
    put(1)
    place = catalog_file if what == "file" else catalog_file.parent
    place.chmod(mode | 0o100 if what == "folder" else mode)
    calls: list[Callable[[], object]] = [store.read, lambda: put(2)]
    for call in calls:
        with refused(WSANO_RECOVERY, f"{catalog_file} is refused: others can write {place}; .*chmod go-w {place}"):
            call()
    place.chmod(0o700)
    assert layers() == ["l1"]


def test_a_link_does_not_lead_out_of_it(catalog_file: Path, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o777)
    open_to_all.chmod(0o777)
    catalog_file.parent.mkdir(mode=0o700)
    catalog_file.symlink_to(open_to_all / "catalog.sqlite")
    (open_to_all / "catalog.sqlite").write_bytes(b"")
    with refused(WSANO_RECOVERY, "open"):
        store.read()


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that another user can enter, with what winsock is made of."""
    folder = Path(tempfile.mkdtemp(prefix="winsock-tests-"))
    folder.chmod(0o755)
    shutil.copytree(ROOT / "src" / "winsock", folder / "src" / "winsock", ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    shutil.rmtree(folder)


AS_NOBODY = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from winsock.abi.errors import WinsockError
from winsock.api.install import WSCEnumProtocols, WSCWriteProviderOrder
from winsock.catalog.entries import BUILTIN
backwards = [entry.info.dwCatalogEntryId for entry in reversed(BUILTIN)]
for call in (WSCEnumProtocols, lambda: WSCWriteProviderOrder(backwards)):
    try:
        print(len(call() or ()))
    except WinsockError as error:
        print(error.name, error.strerror)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("nobody")
class TestOfAnotherUser:
    def file_in(self, folder: Path, owner: int, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A catalog of that user's."""
        file = folder / "of" / "catalog.sqlite"
        monkeypatch.setenv("WINSOCK_CATALOG", str(file))
        store.change(lambda all: all._replace(native=install.order(all.native, BACKWARDS)))
        file.parent.chmod(0o755)
        file.chmod(0o644)
        os.chown(file, owner, owner)
        return file

    def test_roots_is_read_but_not_changed_cat_008(self, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file_in(shared_folder, 0, monkeypatch)
        done = python(AS_NOBODY, PYTHONPATH=str(shared_folder / "src"))
        assert done.stderr == ""
        read, changed = done.stdout.splitlines()
        assert read == str(len(BUILTIN))
        assert changed.startswith("WSANO_RECOVERY ")

    def test_somebody_elses_is_refused(self, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file_in(shared_folder, 1234, monkeypatch)
        done = python(AS_NOBODY, PYTHONPATH=str(shared_folder / "src"))
        assert done.stderr == ""
        assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == [
            f"{shared_folder}/of/catalog.sqlite belongs to another user (uid 1234)"
        ] * 2
        with refused(
            WSANO_RECOVERY, "belongs to another user"
        ):  # root is no exception: what is run there is run as root
            store.read()

    def test_a_folder_where_nobody_may_write(self, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WINSOCK_CATALOG", str(shared_folder / "new" / "catalog.sqlite"))
        done = python(AS_NOBODY, PYTHONPATH=str(shared_folder / "src"))
        assert done.stdout.splitlines() == [
            str(len(BUILTIN)),
            f"WSANO_RECOVERY the catalog {shared_folder}/new/catalog.sqlite cannot be written: Permission denied",
        ]


# --- damage --------------------------------------------------------------------------------------------------------


def spoil_head(file: Path) -> None:
    file.write_bytes(b"This is no database at all." * 40)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def scribble(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    file.write_bytes(bytes(data))


def execute(*statements: str) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        connection = sqlite3.connect(file)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_head,
        cut,
        scribble,
        execute("DROP TABLE entry"),
        execute("UPDATE entry SET info = x'00'"),
        execute("UPDATE entry SET info = 'text'"),
        execute("DELETE FROM number"),
        execute("UPDATE entry SET path = x'00'"),
        execute("UPDATE entry SET options = x'00'"),
        execute("UPDATE entry SET digest = x'00'"),
        execute("UPDATE entry SET categories = 'many'"),
        execute("UPDATE entry SET categories = -1"),
        execute("UPDATE entry SET info = (SELECT info FROM entry WHERE rowid = 1)"),
        execute("INSERT INTO application VALUES (x'00', NULL, 1)"),
        execute("INSERT INTO application VALUES ('/bin/sh', NULL, 1.5)"),
        execute("UPDATE number SET value = 0 WHERE name = 'generation'"),
        execute("UPDATE number SET value = 1 << 40 WHERE name = 'native'"),
        execute("UPDATE number SET value = 'x' WHERE name = 'twin'"),
    ],
)
def test_a_damaged_file_is_told_with_the_way_out(spoil: Callable[[Path], None], catalog_file: Path) -> None:
    put(1)
    spoil(catalog_file)
    calls: list[Callable[[], object]] = [store.read, lambda: put(2)]
    for call in calls:
        with refused(WSANO_RECOVERY, f"the catalog {catalog_file} is damaged .*`winsock catalog reset`"):
            call()
    spoiled = catalog_file.read_bytes()
    assert store.reset() == f"{catalog_file}.old"
    assert Path(f"{catalog_file}.old").read_bytes() == spoiled
    assert layers() == []
    put(3)
    assert layers() == ["l3"]


def test_files_that_are_kept_aside_do_not_replace_each_other(catalog_file: Path) -> None:
    assert store.reset() is None
    kept = []
    for number in range(3):
        put(number)
        kept.append(store.reset())
    assert kept == [f"{catalog_file}.old", f"{catalog_file}.old2", f"{catalog_file}.old3"]


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (("CREATE TABLE cookies (value)",), "something else"),
        ((f"PRAGMA application_id = {database.APPLICATION_ID}", "PRAGMA user_version = 2"), "newer winsock"),
    ],
)
def test_what_is_no_catalog_of_ours_is_left_alone(statements: tuple[str, ...], why: str, catalog_file: Path) -> None:
    catalog_file.parent.mkdir(mode=0o700)
    execute(*statements)(catalog_file)
    catalog_file.chmod(0o600)
    before = catalog_file.read_bytes()
    with refused(WSANO_RECOVERY, why):
        store.read()
    with refused(WSANO_RECOVERY, why):
        put(1)
    assert catalog_file.read_bytes() == before


def test_an_empty_file_is_one_that_has_lost_what_it_held(catalog_file: Path) -> None:
    """As a file system leaves it after a power cut: what was installed must not be gone without a word."""
    put(1)
    os.truncate(catalog_file, 0)
    with refused(WSANO_RECOVERY, r"is damaged \(it is empty\)"):
        layers()
    with refused(WSANO_RECOVERY, r"is damaged \(it is empty\)"):
        put(2)
    assert catalog_file.stat().st_size == 0


def test_a_catalog_that_was_begun_and_not_written_is_built_in(catalog_file: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        store.change(lambda all: store.built_in() if all.generation else 1 / 0)  # type: ignore[arg-type, return-value]
    assert not catalog_file.exists()
    store._create(str(catalog_file))
    store._create(str(catalog_file))  # two were first
    assert os.listdir(catalog_file.parent) == [catalog_file.name]
    assert layers() == []
    put(1)
    assert layers() == ["l1"]


def test_a_file_system_without_links_will_do(catalog_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(file: str, path: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    put(1)
    store._create(str(catalog_file))
    assert layers() == ["l1"]
    assert os.listdir(catalog_file.parent) == [catalog_file.name]


def test_the_whole_file_is_checked_on_demand(catalog_file: Path) -> None:
    put(1)
    database.check(str(catalog_file))
    scribble(catalog_file)
    with refused(WSANO_RECOVERY, "damaged"):
        database.check(str(catalog_file))


# --- several at once -----------------------------------------------------------------------------------------------

INSTALLER = """
import sys
from winsock.abi.guids import GUID
from winsock.api.install import WSCInstallProviderAndChains
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    WSCInstallProviderAndChains(GUID(number, 0, 0, bytes(8)), "winsock.layers.trace:Trace", f"l{number}", 0x20000)
"""


def test_two_installers_at_once() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", INSTALLER]
    pipe = subprocess.PIPE
    runs = [
        subprocess.Popen([*command, str(first), str(first + 20)], env=environment, stdin=pipe, stdout=pipe, text=True)
        for first in (0, 100)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.communicate("go\n", timeout=60)
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(layers()) == sorted(f"l{number}" for number in (*range(20), *range(100, 120)))
    native = store.read().native
    assert len(native) == len(BUILTIN) + 40 * 5
    assert len({entry.info.dwCatalogEntryId for entry in native}) == len(native)


def test_a_change_that_does_not_end_is_waited_for_only_so_long(
    catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(1)
    monkeypatch.setattr(database, "PATIENCE_S", 0.05)
    other = sqlite3.connect(catalog_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with refused(WSAEINPROGRESS, "being changed by another process"):
            put(2)
        assert layers() == ["l1"]
    finally:
        other.close()
    put(2)


def test_nothing_is_left_open(catalog_file: Path) -> None:
    put(1)
    store.read()
    with pytest.raises(WinsockError):
        put(1)
    held = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name)]
    assert not [path for path in held if path.startswith(str(catalog_file))]


def _is_open(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


FORKING = """
import os
from tests.catalog.test_store import layers, put
put(1)
child = os.fork()
put(3 if child else 2)
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sorted(layers()))
"""


def test_a_forked_child_goes_on_by_itself() -> None:
    assert python(FORKING).stdout == "0 ['l1', 'l2', 'l3']\n"


def test_installers_that_are_killed_leave_it_whole() -> None:
    """Twenty here; five hundred under `make soak`."""
    done = python("import sys; from tests.catalog.killing import main; main(20, 4)")
    assert (done.returncode, done.stderr) == (0, "")
