"""The studies of ImageNet run from files like the published ones, and go on where they were stopped."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import command
from specent.archive import shards
from specent.errors import SpecentError
from specent.models.edm2.tiny_networks import write_tiny
from specent.runs import keeping
from specent.studies import recipe

# a handful of trajectories says little
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")

SMALL = {"samples": 6, "steps": 8, "replicates": 50}
# for what is said of files, whatever is in them
LEAST = {"samples": 2, "steps": 4, "replicates": 50}
MEANINGLESS = "A tiny run on a random network: the numbers below mean nothing.\n"


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_tiny(tmp_path_factory.mktemp("networks"))


def made(name: str, networks: tuple[Path, Path], tmp_path: Path, **settings: object) -> tuple[Path, ...]:
    """Run a recipe on the tiny networks."""
    module = recipe(name)
    given = {"network": networks[0], "null_network": networks[1], "output": tmp_path / "out.nc", **SMALL, **settings}
    return module.main(module.Settings(**given))


def test_the_tiny_study_writes_profiles_of_every_class_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["run", "imagenet_edm2", "--tiny", "--output", str(tmp_path / "i.nc")]) == 0
    profiles, pictures = (sp.open(tmp_path / f"i{end}.nc") for end in ("", "_pictures"))
    assert profiles.partition.values.tolist() == ["0 | null", "1 | null", "2 | null"]
    settings = json.loads(profiles.attrs["settings"])
    assert settings["recipe"] == "imagenet_edm2"
    assert settings["recipe_settings"]["steps"] == 8
    assert json.loads(profiles.attrs["model"])["null"]["file"] == "edm2-tiny-uncond.pkl"
    assert pictures.class_label.values.tolist() == ["0", "2"]
    assert pictures.prediction.sizes["prediction_time"] == 4
    printed = capsys.readouterr().out
    assert printed.startswith(MEANINGLESS)
    # three classes: the floor of 1/2 (1 + 1/3) h2(1/4)
    assert "floor 0.5409 bit" in printed
    assert sorted(path.name for path in (tmp_path / "i_classes").iterdir()) == ["0000.nc", "0001.nc", "0002.nc"]
    for path in tmp_path.rglob("*.nc"):
        sp.validate(path)
        assert sp.open(path).attrs["title"].endswith("(tiny run, random network)")


def test_the_tiny_study_of_guidance_writes_profiles_and_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["run", "imagenet_guidance", "--tiny", "--output", str(tmp_path / "g.nc")]) == 0
    profiles, found = (sp.open(tmp_path / f"g{end}.nc") for end in ("", "_differences"))
    names = ["w=2.9 for 0.48<sigma<=6.8", "w=2.8 for 0.15<sigma<=1.6", "w=2.1"]
    assert profiles.guidance.values.tolist() == ["unguided", *names]
    assert found.guidance.values.tolist() == names
    assert found.estimator.values.tolist() == ["path", "cross_entropy"]
    # above the interval nothing differs, and the same noise makes nothing of it
    early = found.sel(guidance=names[1]).where(found.sigma > 1.7, drop=True)
    assert float(abs(early.entropy_difference).max()) < 1e-9
    printed = capsys.readouterr().out
    assert printed.startswith(MEANINGLESS)
    assert len([line for line in printed.splitlines() if " most +" in line]) == 6
    assert "in the interval; 3 classes sampled now" in printed
    assert len([line for line in printed.splitlines() if " bit (least " in line]) == 3
    for path in tmp_path.rglob("*.nc"):
        sp.validate(path)
        assert sp.open(path).attrs["title"].endswith("(tiny run, random network)")


def test_a_profile_is_that_of_the_class_against_the_null_condition(networks: tuple[Path, Path], tmp_path: Path) -> None:
    path, *_ = made("imagenet_edm2", networks, tmp_path, shown=("none",), classes=("2",))
    model = sp.models.edm2(networks[0], null=networks[1])
    runs = sp.sample(
        model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(8), samples=6, classes=["2", "null"],
        partitions=[sp.Partition.pair("2", "null")], progress=False,
    )  # fmt: skip
    wanted = sp.entropy(runs, replicates=50)
    found = sp.open(path)
    # single precision in batches of other sizes
    for name in ("entropy", "entropy_rate"):
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-3)
    assert json.loads(found.attrs["settings"])["null_floor"] == {"2 | null": pytest.approx(0.5409, abs=1e-4)}


def test_the_null_condition_is_sampled_once_for_all_settings(networks: tuple[Path, Path], tmp_path: Path) -> None:
    module = recipe("imagenet_guidance")
    settings = module.Settings(tiny=True, **SMALL, scales=(2.0, 3.0), sigma_lo=(0.0, 0.2), sigma_hi=(np.inf, 5.0))
    model = sp.models.edm2(networks[0], null=networks[1])
    parts = [sp.run(module.planned(settings, model, "1", guided), tmp_path / str(guided), progress=False)
             for guided in (False, True)]  # fmt: skip
    short = module.with_one_null(*map(sp.open, parts))
    plain = sp.sample(
        model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(8), samples=6, classes=["1", "null"],
        candidates=["1", "null"], guidance=[sp.Guidance(), *module.guidance_settings(settings)], progress=False,
    )  # fmt: skip
    xr.testing.assert_equal(short[["guidance_scale", "sigma_lo"]].coords, plain[["guidance_scale", "sigma_lo"]].coords)
    for name in ("log_likelihood", "denoiser_distance", "final"):
        np.testing.assert_allclose(short[name], plain[name], rtol=1e-3, atol=1e-3)
    partition = sp.Partition.pair("1", "null")
    first, second = (sp.entropy(runs, partition, ("path", "cross_entropy")) for runs in (short, plain))
    for name in ("entropy", "entropy_rate"):
        np.testing.assert_allclose(first[name], second[name], atol=2e-3)


@pytest.mark.parametrize("name", ["imagenet_edm2", "imagenet_guidance"])
def test_a_stopped_study_goes_on_with_the_shards_that_are_missing(
    networks: tuple[Path, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"shown": ("none",)} if name == "imagenet_edm2" else {}
    more: dict[str, object] = {**LEAST, "samples": 3, "classes": ("0", "2"), **shown}
    written: list[str] = []
    plain = sp.archive.write
    # shards of two samples of one condition: of a class there are four, six with guidance
    monkeypatch.setattr(keeping, "_NUMBERS", 1)
    monkeypatch.setattr(shards, "_SAMPLES", 2)

    def stopping(dataset: xr.Dataset, path: Path, **options: object) -> Path:
        if len(written) == 8:
            raise KeyboardInterrupt
        written.append(f"{path.parent.name}/{path.name}")
        return plain(dataset, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sp.archive, "write", stopping)
        with pytest.raises(KeyboardInterrupt):
            made(name, networks, tmp_path, **more)
    assert [path.name for path in tmp_path.iterdir()] == ["out_classes"]
    folder = tmp_path / "out_classes"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nc")}
    assert folder / "0000.nc" in before
    assert len(before) > 1
    again: list[Path] = []

    def noting(dataset: xr.Dataset, path: Path, **options: object) -> Path:
        again.append(path)
        return plain(dataset, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sp.archive, "write", noting)
        path, *_ = made(name, networks, tmp_path, **more)
    # neither the profiles nor the shards that were there are written once more
    assert not before.keys() & set(again)
    assert sorted(one.name for one in folder.iterdir()) == ["0000.nc", "0002.nc"]
    made(name, networks, tmp_path, **more, output=tmp_path / "whole.nc", out=tmp_path / "other")
    np.testing.assert_array_equal(sp.open(path).entropy, sp.open(tmp_path / "whole.nc").entropy)


def test_classes_of_other_settings_are_refused_before_work_and_replaced_on_request(
    networks: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = made("imagenet_edm2", networks, tmp_path, **LEAST, shown=("none",), classes=("0", "1"))
    before = sp.open(first).load()
    again = {
        **LEAST,
        "shown": ("none",),
        "output": tmp_path / "again.nc",
        # the other name of out
        "folder": tmp_path / "out_classes",
        "seed": 1,
    }

    def never(*_: object, **__: object) -> None:
        raise AssertionError("sampled")

    with monkeypatch.context() as patch:
        patch.setattr(sp.runs, "run", never)
        with pytest.raises(SpecentError, match=r"0000.nc of another plan: \[0\].seed is 0 there and 1 here"):
            made("imagenet_edm2", networks, tmp_path, **again)
    made("imagenet_edm2", networks, tmp_path, **again, overwrite=True)
    after = sp.open(tmp_path / "again.nc")
    assert after.sizes["partition"] == 3
    assert not np.allclose(after.entropy.sel(partition="0 | null"), before.entropy.sel(partition="0 | null"))


def test_a_damaged_class_is_named(networks: tuple[Path, Path], tmp_path: Path) -> None:
    made("imagenet_edm2", networks, tmp_path, **LEAST, shown=("none",), classes=("0",))
    file = tmp_path / "out_classes" / "0000.nc"
    file.write_bytes(file.read_bytes()[:-100])
    again = {"output": tmp_path / "b.nc", "out": file.parent}
    with pytest.raises(SpecentError, match=r"0000.nc"):
        made("imagenet_edm2", networks, tmp_path, **LEAST, shown=("none",), **again)


def test_one_folder_has_one_name(networks: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="are two names of one setting; give out"):
        made("imagenet_edm2", networks, tmp_path, out=tmp_path / "a", folder=tmp_path / "b")


def test_shown_classes_get_more_trajectories_and_all_may_be_kept(networks: tuple[Path, Path], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nracing car\n", encoding="utf-8")
    first, second = made(
        "imagenet_edm2", networks, tmp_path, label_names=names, shown=("dog",), classes=("0", "dog"), shown_samples=9,
        keep_trajectories=True, pictures=3, predictions=4,
    )  # fmt: skip
    assert sp.open(first).partition.values.tolist() == ["cat | null", "dog | null"]
    folder = tmp_path / "out_classes"
    counts = [sp.open(folder / f"000{i}_run").sizes["sample"] for i in (0, 1)]
    assert counts == [6, 9]
    pictures = sp.open(second)
    assert pictures.class_label.values.tolist() == ["dog"]
    # the pictures are those of the first trajectories that were counted
    kept = sp.open(folder / "0001_run")
    np.testing.assert_allclose(pictures.final[0, 0], kept.final.sel(class_label="dog")[0, :3], atol=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": None}, r"network=None: give the conditional network.*docs/edm2.md.*--tiny"),
        ({"null_network": None}, r"null_network=None: classes are compared with the unconditional network"),
        ({"classes": ("3",)}, r"classes=\['3'\] must be distinct classes of the network, by name or number; it has 3"),
        ({"classes": ("0", "0")}, "distinct classes"),
        ({"classes": ()}, "distinct classes"),
        ({"label_names": Path("none.txt")}, "label_names='none.txt' cannot be read"),
        ({"network": Path("none.pkl")}, "source='none.pkl' does not exist"),
        ({"samples": 1}, "samples=1"),
        ({"steps": 2}, "steps=2"),
        ({"replicates": 49}, "replicates=49"),
        ({"sigma_max": 0.001}, "sigma_max=0.001"),
        ({"device": "abacus"}, "device='abacus'"),
    ],
)
@pytest.mark.parametrize("name", ["imagenet_edm2", "imagenet_guidance"])
def test_bad_settings_are_refused_before_work(
    networks: tuple[Path, Path], tmp_path: Path, name: str, settings: dict[str, object], message: str
) -> None:
    module: ModuleType = recipe(name)
    given = {"network": networks[0], "null_network": networks[1], "output": tmp_path / "out.nc", **SMALL, **settings}
    with pytest.raises(SpecentError, match=message):
        module.main(module.Settings(**given))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scales": (2.0,)}, "one number each per guidance setting"),
        ({"scales": (), "sigma_lo": (), "sigma_hi": ()}, "one setting at least"),
        ({"scales": (1.0, 2.0, 3.0)}, "the unguided setting comes by itself"),
        ({"sigma_lo": (9.0, 0.1, 0.0)}, "guidance interval"),
    ],
)
def test_bad_guidance_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        recipe("imagenet_guidance").Settings(tiny=True, **settings)


def test_a_folder_that_cannot_be_made_is_refused(networks: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecentError, match=r"out=.* cannot be created"):
        made("imagenet_edm2", networks, tmp_path, shown=("none",), folder=tmp_path / "file" / "classes")
