from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import specent.archive as archive
from specent import files
from specent.archive import writing
from specent.errors import ArchiveError, SpecentError

WRITERS = Path(__file__).with_name("writers.py")

NAMES: dict[str, tuple[object, str]] = {
    "long": ("x" * 300 + ".nc", "'xxxxxxxxxxxx.*of 303 bytes; shorten it to 255"),
    "long in bytes": ("ö" * 150 + ".nc", "of 303 bytes; shorten it to 255"),
    "zero": ("a\0b.nc", r"path='a\\x00b.nc' cannot be the name of a file"),
    "surrogate": ("a\ud800.nc", r"path='a\\ud800.nc' cannot be the name of a file"),
    "unknown user": ("~no-such-user-here/x.nc", "path='~no-such-user-here/x.nc': there is no such user"),
    "bytes": (b"a.nc", "path=b'a.nc' is a bytes; give the name of a file as text"),
    "number": (3, "path=3 is a int; give the name of a file as text"),
    "none": (None, "path=None is a NoneType"),
    "empty": ("", "path='' cannot be the name of a file"),
}


@pytest.mark.parametrize(("name", "message"), NAMES.values(), ids=NAMES.keys())
def test_what_cannot_be_the_name_of_a_file_is_refused(make_dataset, tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    for refused in (
        lambda: archive.write(make_dataset("scaling"), name),
        lambda: archive.check_output(name),
        lambda: archive.open(name),
    ):
        with pytest.raises(SpecentError, match=message):
            refused()
    for refused in (archive.validate, archive.describe):
        with pytest.raises(SpecentError, match=message.replace("path=", "dataset_or_path=")):
            refused(name)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_path_that_is_too_long_is_refused(make_dataset):
    path = "/".join(["d" * 200] * 40) + "/a.nc"
    for refused in (lambda: archive.write(make_dataset("scaling"), path), lambda: archive.open(path)):
        with pytest.raises(ArchiveError, match="is a path of 8044 bytes, which is too long"):
            refused()


def test_the_longest_name_can_be_written(make_dataset, tmp_path):
    path = archive.write(make_dataset("scaling"), tmp_path / ("x" * 252 + ".nc"))
    assert list(tmp_path.iterdir()) == [path]


def test_a_loop_of_links_is_refused(make_dataset, tmp_path):
    (tmp_path / "a.nc").symlink_to("b.nc")
    (tmp_path / "b.nc").symlink_to("a.nc")
    with pytest.raises(ArchiveError, match=r"path='.*a.nc' cannot be followed"):
        archive.write(make_dataset("scaling"), tmp_path / "a.nc")
    with pytest.raises(ArchiveError, match=r"path='.*a.nc' (does not exist|cannot be read)"):
        archive.open(tmp_path / "a.nc")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_is_followed_before_the_suffix_is_checked(make_dataset, tmp_path):
    (tmp_path / "p.txt").write_text("mine")
    (tmp_path / "x.nc").symlink_to("p.txt")
    with pytest.raises(ArchiveError, match=r"x.nc' leads to '.*p.txt', which must end in '.nc'"):
        archive.write(make_dataset("scaling"), tmp_path / "x.nc", overwrite=True)
    assert (tmp_path / "p.txt").read_text() == "mine"
    (tmp_path / "y.nc").symlink_to("q.nc")
    assert archive.write(make_dataset("scaling"), tmp_path / "y.nc") == tmp_path / "q.nc"
    assert (tmp_path / "y.nc").is_symlink()
    with pytest.raises(ArchiveError, match=r"y.nc' leads to '.*q.nc', which exists; pass overwrite=True"):
        archive.write(make_dataset("scaling"), tmp_path / "y.nc")


@pytest.mark.parametrize("value", ["x", 1, None])
def test_overwrite_is_true_or_false(make_dataset, tmp_path, value):
    for refused in (archive.check_output, lambda path, **more: archive.write(make_dataset("scaling"), path, **more)):
        with pytest.raises(SpecentError, match=f"overwrite={value!r} must be True or False"):
            refused(tmp_path / "a.nc", overwrite=value)
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_at_once_exactly_one_succeeds(make_dataset, tmp_path):
    (tmp_path / "dataset.pickle").write_bytes(pickle.dumps(make_dataset("scaling")))
    folder = tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, str(WRITERS), "race", str(tmp_path / "dataset.pickle"), str(folder), "12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    # twelve races with hard links and twelve without
    assert done.stdout.split() == ["1"] * 24
    assert len(os.listdir(folder)) == 24
    for path in folder.iterdir():
        archive.open(path).close()


def _no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_file_system_without_links_is_written_to_and_does_not_overwrite(make_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "link", _no_links)
    # built once: its history says when, to the second
    first = make_dataset("scaling", seed=1)
    path = archive.write(first, tmp_path / "a.nc")
    with archive.open(path) as stored:
        assert stored.identical(first)
    monkeypatch.setattr(writing, "check_output", lambda *_, **__: path)  # as if it had not been there yet
    with pytest.raises(ArchiveError, match="exists; pass overwrite=True"):
        archive.write(make_dataset("scaling", seed=2), path)
    with archive.open(path) as stored:
        assert stored.identical(first)
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_was_only_reserved_is_given_back(make_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "link", _no_links)
    monkeypatch.setattr(files.os, "replace", _no_links)
    with pytest.raises(ArchiveError, match="could not be written"):
        archive.write(make_dataset("scaling"), tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []
