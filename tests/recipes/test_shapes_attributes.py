"""The study of attributes: coarse before fine, the set against new pictures, the background in closed form."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.spatial.distance import cdist

import specent as sp
from specent import command
from specent.studies import recipe

study = recipe("shapes_attributes")
SCHEDULE = sp.schedules.VE()
ORDER = ("background", "shape", "texture", "glyph")


@pytest.fixture(scope="module")
def data() -> tuple[sp.models.FiniteModel, np.ndarray, dict[str, np.ndarray], list[sp.Partition]]:
    images, attributes = sp.images.shapes(4800, 16, 0)
    model = sp.models.finite(images, study.combinations(attributes), name="shapes")
    return model, images, attributes, study.partitions_of(attributes, model.labels)


@pytest.fixture(scope="module")
def profiles(data) -> xr.Dataset:
    """Exact profiles and those of new pictures, from 480 noisy pictures each."""
    model, _, _, partitions = data
    channel = SCHEDULE, np.geomspace(0.15, 60.0, 24)
    exact = sp.exact.profiles(model, *channel, partitions, samples=10, progress=False)
    new = study.new_pictures(study.Settings(images=4800, draws=10), model, channel, partitions)
    return sp.analysis.combine(exact, new)


def test_a_partition_groups_the_combinations_by_one_attribute(data) -> None:
    model, _, _, partitions = data
    assert [partition.name for partition in partitions] == list(ORDER)
    for partition in partitions:
        assert partition.covers(model.labels)
        for side, labels in partition.sides:
            assert all(side in label.split() for label in labels)
            assert len(labels) == 48 / len(partition.sides)


def test_coarse_attributes_are_decided_at_higher_noise_and_the_intervals_are_apart(profiles) -> None:
    exact = sp.speciation(profiles.sel(estimator=["exact"]), axis="sigma").squeeze().sel(partition=list(ORDER))
    assert (np.diff(exact.half_entropy) < 0).all()
    assert (exact.half_entropy_lower.values[:-1] > exact.half_entropy_upper.values[1:]).all()


def test_the_background_follows_the_closed_form_of_a_shift(data, profiles) -> None:
    _, images, attributes, _ = data
    exact = sp.speciation(profiles.sel(estimator=["exact"], partition=["background"]), axis="sigma").squeeze()
    error = float(exact.half_entropy_upper - exact.half_entropy_lower) / (2 * 1.96)
    # the shapes, of which the closed form knows the mean only, move the level by less than 2 %
    level = study.shift(images, attributes["background"])
    assert float(exact.half_entropy) == pytest.approx(level, abs=4 * error + 0.02 * level)


def test_the_shift_of_two_gaussian_clouds_is_that_of_the_two_component_entropy() -> None:
    stream = np.random.default_rng(2)
    tone = np.repeat(["bright", "dark"], 20000)
    images = np.where(tone == "bright", 1.0, -1.0)[:, None, None, None] + 0.5 * stream.normal(size=(40000, 1, 2, 2))
    # half distance 2, variance 0.25 along it: standard errors 0.003 of the first, 0.0025 of the second
    expected = np.sqrt((2 / 1.021770) ** 2 - 0.25)
    assert study.shift(images, tone) == pytest.approx(expected, abs=0.02)


def test_new_pictures_are_never_more_certain_than_the_set_and_agree_with_it_at_high_noise(profiles) -> None:
    exact, new = (profiles.sel(estimator=name).squeeze() for name in ("exact", study.NEW))
    error = np.hypot(*(((one.entropy_upper - one.entropy_lower) / (2 * 1.96)).values for one in (exact, new)))
    gap = (new.entropy - exact.entropy).values
    # 96 correlated comparisons; where nearly all are decided intervals are too narrow, hence the floor of 0.01 bit
    assert (gap > -4.5 * error - 0.01).all()
    # above a noise of 1 the posterior is spread over many pictures, and 100 of a kind are as good as all
    high = (profiles.sigma > 1).values
    assert (abs(gap[:, high]) < 4.5 * error[:, high] + 0.01).all()


def test_fewer_pictures_are_too_few_at_higher_noise() -> None:
    images, attributes = sp.images.shapes(480, 16, 0)
    model = sp.models.finite(images, study.combinations(attributes), name="shapes")
    channel, partitions = (SCHEDULE, np.geomspace(0.2, 60.0, 16)), study.partitions_of(attributes, model.labels)
    exact = sp.exact.profiles(model, *channel, partitions, samples=6, progress=False)
    both = sp.analysis.combine(
        exact, study.new_pictures(study.Settings(images=480, draws=6), model, channel, partitions)
    )
    assert study.too_small(both, "background") == "nowhere"
    assert 0.2 < float(study.too_small(both, "glyph")) < 1.0


def test_the_cross_entropy_of_new_pictures_is_that_of_brute_force(data) -> None:
    model, images, attributes, partitions = data
    settings = study.Settings(images=4800, draws=2, seed=7)
    channel = SCHEDULE, np.array([0.3, 2.0, 30.0])
    profile = study.new_pictures(settings, model, channel, partitions[:2])
    new, truth = sp.images.shapes(96, 16, 8)
    order = np.argsort(study.combinations(truth), kind="stable")
    noise = np.random.default_rng([7, 1]).standard_normal((96, 256))
    for t, level in enumerate(channel[1]):
        state = new[order].reshape(96, -1) + level * noise
        square = cdist(state, images.reshape(len(images), -1), "sqeuclidean") / (2 * level**2)
        weight = np.exp(square.min(1, keepdims=True) - square)
        for p, name in enumerate(ORDER[:2]):
            right = attributes[name][None] == truth[name][order][:, None]
            surprisal = -np.log2((weight * right).sum(1) / weight.sum(1))
            assert profile.entropy.squeeze().values[p, t] == pytest.approx(surprisal.mean(), rel=1e-6)


def test_the_tiny_run_writes_valid_archives_with_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    assert command.main(["run", "shapes_attributes", "--tiny"]) == 0
    assert torch.get_num_threads() == threads
    for name in ("shapes_attributes.nc", "shapes_attributes_runs.nc"):
        sp.validate(tmp_path / name)
    profile, runs = sp.open(tmp_path / "shapes_attributes.nc"), sp.open(tmp_path / "shapes_attributes_runs.nc")
    assert profile.estimator.values.tolist() == ["exact", study.NEW, "path"]
    assert profile.partition.values.tolist() == runs.partition.values.tolist() == list(ORDER)
    assert runs.prediction.sizes["prediction_time"] == 4
    assert runs.class_label.values.tolist()[-1] == "null"
    # grey values of the set: -1 black, 1 white
    shown = runs.preview.isel(preview_channel=0).values / 255
    np.testing.assert_allclose(shown, (runs.prediction.isel(channel=0).values.clip(-1, 1) + 1) / 2, atol=0.51 / 255)
    settings = json.loads(profile.attrs["settings"])
    assert settings["recipe"] == "shapes_attributes"
    assert settings["recipe_settings"]["images"] == 480
    output = capsys.readouterr().out
    assert "order of the exact noise levels: background > shape > texture > glyph" in output
    assert "in closed form" in output
    assert command.main(["run", "shapes_attributes", "--tiny"]) == 1
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--images 47", "images=47"),
        ("--size 24", "size=24"),
        ("--draws 1", "draws=1"),
        ("--samples 1", "samples=1"),
        ("--steps 3", "steps=3"),
        ("--sigma-min 0", "sigma_min=0.0"),
        ("--sigma-max 0.1", "sigma_max=0.1"),
        ("--predictions -1", "predictions=-1"),
        ("--seed -1", "seed=-1"),
        ("--output shapes.txt", "shapes.txt"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_and_nothing_is_written(
    flags: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "shapes_attributes", *flags.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())


def test_an_archive_beside_it_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "s_runs.nc").write_text("mine")
    with pytest.raises(sp.SpecentError, match=r"s_runs.nc.* exists"):
        study.main(study.Settings(output=tmp_path / "s.nc", tiny=True))
    assert [path.name for path in tmp_path.iterdir()] == ["s_runs.nc"]
