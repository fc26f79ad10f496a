"""The CIFAR-10 recipe: each partition from its own trajectories, by the networks that were given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import command
from specent.errors import SpecentError
from specent.models.diffusers.tiny_pipelines import write_pipeline
from specent.studies import recipe

module = recipe("cifar10_ddpm")

# untrained networks tell nothing, and the package says so
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")


def test_the_tiny_run_writes_profiles_and_the_trajectories_of_every_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = module.main(module.Settings(tiny=True, output=tmp_path / "c.nc"))
    assert [path.name for path in written] == [
        "c.nc", "c_deer_automobile.nc", "c_deer_cat.nc", "c_deer_null.nc", "c_cat_null.nc",
    ]  # fmt: skip
    for path in written:
        sp.validate(path)
        assert sp.open(path).attrs["title"].endswith("(tiny run, random network)")
    printed = capsys.readouterr().out
    assert printed.startswith("A tiny run on a random network: the numbers below mean nothing.\n")
    assert "In generation" not in printed
    profiles = sp.open(written[0])
    assert profiles.partition.values.tolist() == ["deer | automobile", "deer | cat", "deer | null", "cat | null"]
    assert json.loads(profiles.attrs["settings"])["recipe"] == "cifar10_ddpm"
    runs = sp.open(written[3])
    assert runs.class_label.values.tolist() == runs.candidate.values.tolist() == ["deer", "null"]
    # the ancestral chain: first and last time of the network, whole ones between
    assert runs.time.values[[0, -1]].tolist() == [0, 999]
    np.testing.assert_array_equal(runs.time, runs.time.round())
    # each partition's profile is that of its own archive
    again = sp.entropy(runs, estimator="path", keep_replicates=False)
    xr.testing.assert_allclose(
        profiles.entropy.sel(partition=["deer | null"], estimator=["path"]).drop_attrs(), again.entropy.drop_attrs()
    )
    with pytest.raises(SpecentError, match="exists"):
        module.main(module.Settings(tiny=True, output=tmp_path / "c.nc"))


def test_the_chain_is_that_of_the_paper() -> None:
    np.testing.assert_array_equal(module.chain(1000), np.arange(1000))
    settings = module.Settings(network="x")
    assert settings.samples == 1000
    assert [partition.name for partition in module.partitions_of(settings, module.CLASSES, null=True)[:3]] == [
        "deer | automobile", "deer | cat", "airplane | null",
    ]  # fmt: skip


def test_pipelines_of_diffusers_serve_as_well(tmp_path: Path) -> None:
    classes = write_pipeline("unet_classes", tmp_path / "classes")
    model = sp.models.pipeline(classes)
    labels = model.labels
    settings = module.Settings(
        network=str(classes), labels=labels, output=tmp_path / "c.nc", samples=4, steps=8,
        pairs=(f"{labels[0]}|{labels[1]}",), against_null=("none",),
    )  # fmt: skip
    first, *_ = module.main(settings)
    assert "tiny" not in sp.open(first).attrs["title"]
    assert sp.open(first).partition.values.tolist() == [f"{labels[0]} | {labels[1]}"]
    with pytest.raises(SpecentError, match="has no null condition"):
        module.main(module.Settings(network=str(classes), labels=labels, pairs=(), output=tmp_path / "d.nc"))


def test_the_table_says_which_pair_is_decided_first() -> None:
    """Two pairs of exact profiles, one of them of components further apart."""
    labels = ["deer", "automobile", "cat"]
    mix = sp.exact.GaussianMixture([[0.0], [20.0], [5.0]], labels=labels)
    time = sp.schedules.edm_grid(80, 0.05, 200)
    partitions = [sp.Partition.pair("deer", "automobile"), sp.Partition.pair("deer", "cat")]
    exact = sp.exact.profiles(mix, sp.schedules.VE(), time, partitions)
    path = exact.assign_coords(estimator=("estimator", ["path"], exact.estimator.attrs))
    lines = list(module.table(path))
    assert list(module.table(path, compared=False)) == lines[:-1]
    assert lines[-1].startswith("In generation 'deer | automobile' is half decided")
    assert lines[-1].endswith("before 'deer | cat'; their intervals do not overlap")
    # half-entropy of two components 2 m apart is at sigma^2 = m^2 / 1.04401 - 1, K = 1.02177 (shared/science)
    half = -np.log(np.array([10.0, 2.5]) ** 2 / 1.02177**2 - 1)
    for line, level in zip(lines[1:3], half, strict=True):
        assert float(line.rpartition("half")[2].split()[0]) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (-10.12, -10.12, -9.0, "-10.12 (at the end of the grid)"),
        (9.21, 9.21, 9.21, "9.21 (at the end of the grid)"),
        (-9.712, -9.714, -9.711, "-9.71 (no interval: all replicates agree)"),
        (-9.5, -9.7, -9.1, "-9.50 (-9.70 to -9.10)"),
    ],
)
def test_a_place_without_an_interval_is_told_in_words(value: float, low: float, high: float, said: str) -> None:
    level = xr.Dataset({"half_entropy": value, "half_entropy_lower": low, "half_entropy_upper": high})
    assert module.interval(level, "half_entropy", np.array([9.21, -10.12])).strip() == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "network=''"),
        ("--network /nowhere", "/nowhere"),
        ("--network nowhere", "source='nowhere' is no folder, nor a name of the hub"),
        ("--tiny --pairs deer", "deer"),
        ("--tiny --pairs deer|elk", "elk"),
        ("--tiny --pairs deer,cat|dog", "no pair of two classes"),
        ("--tiny --pairs deer|cat deer|cat", "name a partition twice"),
        ("--tiny --against-null elk", "elk"),
        ("--tiny --pairs deer|cat --against-null deer deer", "name a partition twice"),
        ("--tiny --samples 1", "samples=1"),
        ("--tiny --steps 2000", "steps=2000"),
        ("--tiny --batch-size 0", "batch_size=0"),
        ("--tiny --seed -1", "seed=-1"),
        ("--tiny --device abacus", "device='abacus'"),
        ("--tiny --output x.txt", "x.txt"),
    ],
)
def test_a_bad_setting_is_one_line_and_nothing_is_written(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "cifar10_ddpm", *line.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())
