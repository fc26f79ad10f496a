"""The one way a file is named, written and compared with its card."""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from specent import files
from specent.errors import ModelError, SpecentError

ROOT = Path(__file__).resolve().parents[1]
WRITERS = Path(__file__).with_name("killed_writers.py")


class Outcome(NamedTuple):
    """What one writer left: was there an older file, was it killed, how many files are visible, are they whole."""

    older: bool
    died: bool
    visible: int
    whole: bool


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Outcome]]:
    """What the writers of each product left."""
    command = [sys.executable, str(WRITERS), str(tmp_path_factory.mktemp("killed"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    rows: dict[str, list[Outcome]] = {}
    for product, older, died, visible, whole in map(str.split, done.stdout.splitlines()):
        outcome = Outcome(older == "1", died == "1", int(visible), whole == "1")
        rows.setdefault(product, []).append(outcome)
    return rows


@pytest.mark.parametrize("product", ["archive", "checkpoint", "training", "page", "picture", "card"])
def test_a_writer_killed_before_any_of_its_steps_leaves_whole_files(
    product: str, outcomes: dict[str, list[Outcome]]
) -> None:
    assert all(outcome.whole for outcome in outcomes[product])
    over = [outcome for outcome in outcomes[product] if outcome.older]
    alone = [outcome for outcome in outcomes[product] if not outcome.older]
    # opened, filled, synced, renamed, and the folder synced; of a page every fifth step is tried
    assert sum(outcome.died for outcome in over) >= (2 if product == "page" else 7)
    number = 2 if product in ("checkpoint", "training") else 1
    # the older files stay in sight whenever the writer dies
    assert {outcome.visible for outcome in over} == {number}
    # without one, nothing is in sight until the last steps
    visible = [outcome.visible for outcome in alone]
    assert visible == sorted(visible)
    assert not visible or (visible[0], visible[-1]) == (0, number)


def test_a_writer_killed_at_any_instant_leaves_whole_files(outcomes: dict[str, list[Outcome]]) -> None:
    rows = outcomes["large"]
    assert len(rows) == 12
    # instants are spread over half the time of one write, so most of the kills fall into it
    assert sum(outcome.died for outcome in rows) >= 4
    assert all(outcome.visible == 2 and outcome.whole for outcome in rows)


def test_the_file_and_its_folder_are_brought_to_the_disk_in_that_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    plain_sync, plain_link, plain_replace = os.fsync, os.link, os.replace

    def fsync(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        plain_sync(descriptor)

    def link(*names: Any) -> None:
        events.append("link")
        plain_link(*names)

    def replace(*names: Any) -> None:
        events.append("replace")
        plain_replace(*names)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "replace", replace)
    files.write_whole("text", tmp_path / "a.json")
    assert events == ["file", "link", "folder"]
    files.write_whole("text", tmp_path / "a.json", overwrite=True)
    assert events[3:] == ["file", "replace", "folder"]


def test_the_file_on_the_disk_is_complete_when_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            sizes.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_whole(bytes(100_000), tmp_path / "a.bin")
    assert sizes == [100_000]


def test_a_name_that_is_taken_meanwhile_survives(tmp_path: Path) -> None:
    target = tmp_path / "a.json"

    def write_too_late() -> None:
        with files.whole_file(target, argument="output", error=ModelError) as temporary:
            temporary.write_text("ours")
            target.write_text("theirs")

    with pytest.raises(ModelError, match=r"output='.*a\.json' exists; pass overwrite=True to replace it"):
        write_too_late()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "theirs"}


def test_the_umask_is_obeyed_and_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", pytest.fail)
        path = files.write_whole("text", tmp_path / "a.json")
        monkeypatch.undo()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("step", ["open", "write_bytes", "fsync", "replace"])
def test_a_disk_that_is_full_at_any_step_leaves_the_old_file_alone(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = files.write_whole("old", tmp_path / "a.json")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path if step == "write_bytes" else os, step, full)
    with pytest.raises(SpecentError, match=r"a\.json' could not be written \(No space left on device\); is the disk"):
        files.write_whole("new", target, overwrite=True)
    monkeypatch.undo()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "old"}


def test_an_error_in_the_block_passes_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.whole_file(tmp_path / "a.json") as temporary:
        temporary.write_text(str(1 // 0))
    assert list(tmp_path.iterdir()) == []


def test_of_many_writers_at_once_exactly_one_succeeds(tmp_path: Path) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            files.write_whole(f"{number}", tmp_path / "a.json")
        except SpecentError:
            outcomes.append("refused")
        else:
            outcomes.append(f"{number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["refused"] * 7
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": sorted(outcomes)[0]}


NAMES: dict[str, tuple[object, str]] = {
    "long": ("x" * 300 + ".nc", "of 303 bytes; shorten it to 255"),
    "long in bytes": ("ö" * 150 + ".nc", "of 303 bytes; shorten it to 255"),
    "long folder": ("y" * 300 + "/x.nc", "of 300 bytes; shorten it to 255"),
    "zero": ("a\0b.nc", "cannot be the name of a file"),
    "surrogate": ("a\ud800.nc", "cannot be the name of a file"),
    "unknown user": ("~no-such-user-here/x.nc", "there is no such user"),
    "bytes": (b"a.nc", "is a bytes; give the name of a file as text"),
    "none": (None, "is a NoneType"),
    "empty": ("", "cannot be the name of a file"),
    "suffix": ("a.txt", "must end in '.nc' or '.png'"),
    "only a suffix": (".nc", "must end in '.nc' or '.png'"),
    "missing folder": ("missing/a.nc", "the folder '.*missing' does not exist; make it first"),
    "file as folder": ("file.nc/a.nc", "the folder '.*file.nc' does not exist"),
    "folder": ("folder.nc", "is a folder; choose another name"),
    "device": ("pipe.nc", "is a device; choose another name"),
    "read-only folder": ("/proc/a.nc", "the folder cannot be written to"),
}


@pytest.mark.parametrize(("name", "message"), NAMES.values(), ids=NAMES.keys())
def test_what_no_file_can_be_written_to_is_refused_with_the_remedy(
    name: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "file.nc").write_text("mine")
    os.mkfifo(tmp_path / "pipe.nc")
    before = sorted(tmp_path.iterdir())
    for overwrite in (False, True):
        with pytest.raises(ModelError, match=f"^output=.*{message}"):
            files.output_path(name, (".nc", ".png"), overwrite=overwrite, argument="output", error=ModelError)
    assert sorted(tmp_path.iterdir()) == before


def test_a_path_is_absolute_its_links_followed_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.nc").symlink_to("target.nc")
    assert files.output_path("a.nc", ".nc") == tmp_path / "a.nc"
    assert files.output_path("link.nc", ".nc") == tmp_path / "target.nc"
    (tmp_path / "target.nc").write_text("mine")
    with pytest.raises(SpecentError, match=r"path='link.nc' leads to '.*target.nc', which exists; pass overwrite=True"):
        files.output_path("link.nc", ".nc")
    assert files.output_path("link.nc", ".nc", overwrite=True) == tmp_path / "target.nc"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.nc", "target.nc"]


def test_digests_are_those_of_the_standard_library(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a.bin").write_bytes(data)
    assert files.sha256(tmp_path / "a.bin") == files.sha256(data) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("expected", ["0" * 64, "", None, 5, ["a"]])
def test_another_digest_than_that_of_the_card_is_refused(expected: object, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"data")
    files.compare_digest(tmp_path / "a.bin", hashlib.sha256(b"data").hexdigest(), "a.bin", "fetch it again")
    for source in (tmp_path / "a.bin", b"data"):
        with pytest.raises(ModelError, match=r"^a\.bin is damaged or another file: its SHA-256 begins .*; fetch it"):
            files.compare_digest(source, expected, "a.bin", "fetch it again", error=ModelError)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\.bin cannot be read \(No such file or directory\); fetch it again"):
        files.compare_digest(tmp_path / "a.bin", "0", "a.bin", "fetch it again", error=ModelError)


# what writes a file behind the back of `whole_file`
WRITING = {"replace", "rename", "link", "umask", "mkstemp", "NamedTemporaryFile", "fsync"}


def test_nothing_else_in_the_package_writes_files() -> None:
    offenders = []
    for path in [*ROOT.glob("specent/**/*.py"), *ROOT.glob("recipes/*.py")]:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for function, line in [(call.func, call.lineno) for call in calls if isinstance(call.func, ast.Attribute)]:
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            # a temporary file of `whole_file` is filled by whatever means
            behind = function.attr in ("write_bytes", "write_text") and not owner.endswith(("temporary", "_file"))
            if (owner in ("os", "tempfile") and function.attr in WRITING) or behind:
                offenders.append(f"{path.relative_to(ROOT)}:{line} {function.attr}")
    assert {offender.partition(":")[0] for offender in offenders} == {"specent/files.py"}, offenders


HOSTILE = [
    "../../etc/passwd", "/etc/passwd", ".hidden", "~root", "-rf", "a\x00b", "a\x1b[2J\u202eb", "<script>", "a/b",
    "a\\b", "a:b", "C:", "con|aux", "x" * 5000, "\u00e4\u200b", "..", ".", " ",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_stays_in_the_folder_and_on_the_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"study_{files.name_part(text)}.nc"
    path.write_text("")
    assert path.resolve().parent == tmp_path.resolve()
    assert os.listdir(tmp_path) == [path.name]
    assert path.name.isascii()
    assert path.name.isprintable()
    assert not (tmp_path / files.name_part(text)).name.startswith((".", "-", "~", " "))
    assert (tmp_path / files.name_part(text)).resolve().parent == tmp_path.resolve()


def test_names_that_differ_make_files_that_differ() -> None:
    names = [*HOSTILE, *("x" * n for n in range(60, 120)), "x" * 79 + "/", "a%2Fb", "a%b", "%2E"]
    assert len({files.name_part(name) for name in names}) == len(set(names))
