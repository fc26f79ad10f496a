"""Studies that sample in shards: interrupted they go on, and leave nothing that was not asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import specent as sp
from specent.errors import SpecentError
from specent.runs import keeping
from specent.studies import ShardedSettings, recipe, run_folder, sampled

SMALL: dict[str, Any] = {"samples": 4, "steps": 5, "exact_samples": 5, "predictions": 2}


def study(folder: Path, **changes: Any) -> tuple[Path, ...]:
    module = recipe("digits")
    written: tuple[Path, ...] = module.main(module.Settings(output=folder / "digits.nc", **(SMALL | changes)))
    return written


@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")  # of five steps
def test_a_study_that_was_interrupted_goes_on_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    write = sp.archive.write
    # a shard of every class, as a study of the usual size has them
    monkeypatch.setattr(keeping, "_NUMBERS", 1)

    def broken(dataset: Any, path: Any, **options: Any) -> Path:
        if Path(path).name.startswith("shard-"):
            if len(done) == 1:
                raise KeyboardInterrupt
            done.append(Path(path).name)
        return write(dataset, path, **options)

    monkeypatch.setattr(sp.archive, "write", broken)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["digits_run"]
    first = tmp_path / "digits_run" / done[0]
    before = first.stat().st_mtime_ns
    kept: list[int] = []

    def watching(dataset: Any, path: Any, **options: Any) -> Path:
        if Path(path).name == "digits.nc":
            kept.append(first.stat().st_mtime_ns)
        return write(dataset, path, **options)

    monkeypatch.setattr(sp.archive, "write", watching)
    written = study(tmp_path)
    assert kept == [before]
    monkeypatch.setattr(sp.archive, "write", write)
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in written)
    sp.validate(written[0])
    # what was done in two sittings is what is done in one
    (tmp_path / "whole").mkdir()
    whole = sp.open(study(tmp_path / "whole")[0])
    for name, variable in sp.open(written[0]).variables.items():
        assert variable.values.tobytes() == whole[name].values.tobytes()


@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")
def test_a_run_folder_that_is_named_stays_and_may_grow(tmp_path: Path) -> None:
    out = tmp_path / "run"
    study(tmp_path, out=out)
    assert sp.archive.status(out).missing == 0
    written = study(tmp_path, out=out, samples=6, overwrite=True)
    assert sp.open(written[0]).sizes["sample"] == sp.open(out).sizes["sample"] == 6
    with pytest.raises(SpecentError, match=r"another plan: time\[0\] is 0.02 there and 0.1 here"):
        study(tmp_path, out=out, overwrite=True, sigma_min=0.1)


def test_a_study_of_several_plans_has_a_folder_for_each_and_removes_them_all(tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0), 2)
    settings = ShardedSettings()
    with run_folder(settings, tmp_path / "a.nc") as folder:
        runs = [sampled(folder / name, plan, settings, progress=False) for name in ("one", "two")]
        assert sorted(os.listdir(folder)) == ["one", "two"]
        assert runs[0].equals(runs[1])
        (folder / "two" / "mine.txt").write_text("kept")
    # what is not of a run is left alone
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == ["a_run/two/mine.txt"]
    with run_folder(ShardedSettings(out=tmp_path / "stays"), tmp_path / "a.nc") as folder:
        sampled(folder / "one", plan, settings, progress=False)
    assert sp.archive.status(tmp_path / "stays" / "one").missing == 0
