"""The quality of runs as a dataset: the numbers of the kernels, setting by setting, stored in archives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import specent as sp
from specent.errors import ArchiveError, SpecentError
from specent.quality import frechet_distance, frechet_limit, precision_recall

MIX = sp.exact.GaussianMixture([[-1.5, 0.0], [1.5, 0.0]], labels=["left", "right"])
SETTINGS = [sp.Guidance(), sp.Guidance(3.0), sp.FeedbackGuidance(0.9, 0.5, 0.4, gap=1.0)]


class Signs:
    """Features are the samples themselves; the class is the side they lie on."""

    def __init__(self) -> None:
        self.identity = {"name": "signs"}

    def __call__(self, samples: torch.Tensor) -> np.ndarray:
        return samples.double().numpy()

    def classify(self, samples: torch.Tensor) -> np.ndarray:
        return np.where(samples[:, 0].numpy() < 0, "left", "right")


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(48, 0.05, 100.0), samples=300,
        guidance=SETTINGS, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(m, 1.0, (1000, 2)) for m in MIX.means])


@pytest.fixture(scope="module")
def table(runs: xr.Dataset, real: np.ndarray) -> xr.Dataset:
    return sp.quality.measure(runs, real, Signs(), progress=False)


def test_numbers_are_those_of_the_kernels(runs: xr.Dataset, real: np.ndarray, table: xr.Dataset) -> None:
    real = real.astype(np.float32)  # as pictures reach an extractor
    for g in range(3):
        fake = runs.final.isel(guidance=g).values.reshape(600, 2)
        precision, recall = precision_recall(real, fake)
        expected = {
            "frechet_distance": frechet_distance(real, fake).value, "precision": precision.value,
            "recall": recall.value, "accuracy": np.mean((fake[:, 0] < 0) == (np.arange(600) < 300)),
        }  # fmt: skip
        for name, value in expected.items():
            assert float(table[name][g]) == pytest.approx(value, rel=1e-9), name
            assert float(table[f"{name}_lower"][g]) <= value <= float(table[f"{name}_upper"][g])
        # other groups of the jackknife cut the samples into other pieces
        width = float(table["frechet_limit_upper"][g] - table["frechet_limit_lower"][g])
        assert abs(float(table["frechet_limit"][g]) - frechet_limit(real, fake).value) < width


def test_it_says_what_guidance_does_to_an_exact_model(table: xr.Dataset) -> None:
    plain, strong = table.isel(guidance=0), table.isel(guidance=1)
    # the exact chain is right up to its 48 steps, which make the variance too small by some per cent
    assert float(plain.frechet_limit) < 0.05
    # the two classes overlap: a sample of N(1.5, 1) lies on its own side with probability 0.9332
    assert float(plain.accuracy_lower) < 0.9332 < float(plain.accuracy_upper)
    # guidance pushes the two clusters apart and narrows them
    assert float(strong.accuracy_lower) > float(plain.accuracy_upper)
    assert float(strong.frechet_limit_lower) > float(plain.frechet_limit_upper)
    assert float(strong.recall) < float(plain.recall_lower)


def test_differences_are_paired_and_taken_to_the_unguided_setting(
    runs: xr.Dataset, real: np.ndarray, table: xr.Dataset
) -> None:
    assert json.loads(table.attrs["settings"])["reference"] == "unguided"
    for name in ("frechet_distance", "frechet_limit", "precision", "recall", "accuracy"):
        np.testing.assert_allclose(table[f"{name}_difference"], table[name] - table[name][0], atol=1e-12)
        assert float(table[f"{name}_difference_lower"][0]) == float(table[f"{name}_difference_upper"][0]) == 0.0
        width = (table[f"{name}_difference_upper"] - table[f"{name}_difference_lower"])[1:]
        assert (width > 0).all()
    # two settings that hardly differ: nearly all of their scatter is common
    near = sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(48, 0.05, 100.0), samples=300,
        guidance=[sp.Guidance(1.1), sp.Guidance(1.101)], progress=False,
    )  # fmt: skip
    quality = sp.quality.measure(near, real, Signs(), reference="w=1.1", progress=False)
    own, paired = (
        float((quality[f"{name}_upper"] - quality[f"{name}_lower"])[1])
        for name in ("frechet_limit", "frechet_limit_difference")
    )
    assert paired < own / 10
    without = sp.quality.measure(near, real, Signs(), progress=False)
    assert "frechet_limit_difference" not in without
    with pytest.raises(SpecentError, match="reference='w=9' is not among the guidance settings"):
        sp.quality.measure(near, real, Signs(), reference="w=9")


def test_tables_go_to_archives_and_back(table: xr.Dataset, tmp_path: Path) -> None:
    path = sp.write(table, tmp_path / "quality.nc")
    xr.testing.assert_identical(sp.open(path).load(), table)
    assert json.loads(table.attrs["features"]) == {"name": "signs"}
    assert json.loads(table.attrs["real"])["count"] == 2000
    assert "frechet_limit" in sp.describe(path)
    assert table.guidance.values.tolist() == [str(setting) for setting in SETTINGS]
    assert "r / (r - (1 - pi))" in table.attrs["guidance_formula"]


def test_shares_outside_their_range_are_not_written(table: xr.Dataset, tmp_path: Path) -> None:
    bad = table.copy(deep=True)
    bad["recall"].values[1] = 1.5
    bad["recall_upper"].values[1] = 2.0
    with pytest.raises(ArchiveError, match=r"recall=1\.5 at guidance=w=3 is no share between 0 and 1"):
        sp.write(bad, tmp_path / "x.nc")


def test_the_same_seed_gives_the_same_table_whatever_the_batches(
    runs: xr.Dataset, real: np.ndarray, table: xr.Dataset
) -> None:
    again = sp.quality.measure(runs, real, Signs(), batch_size=37, progress=False)
    xr.testing.assert_equal(again, table)


def test_without_labels_there_is_no_accuracy_and_the_null_condition_is_left_out(real: np.ndarray) -> None:
    runs = sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(24, 0.05, 100.0), samples=60,
        classes=["left", "right", "null"], progress=False,
    )  # fmt: skip
    quality = sp.quality.measure(runs, real, lambda x: x, progress=False)
    assert "accuracy" not in quality
    assert json.loads(quality.attrs["settings"])["samples"] == 120
    some = sp.quality.measure(runs.sel(class_label=["left", "right"]), real, lambda x: x, progress=False)
    xr.testing.assert_equal(quality, some)


def test_pictures_reach_the_extractor_from_black_to_white() -> None:
    seen = []

    def extractor(pictures: torch.Tensor) -> torch.Tensor:
        seen.append((float(pictures.min()), float(pictures.max()), tuple(pictures.shape[1:])))
        return pictures.flatten(1)

    model = sp.models.network(lambda x, s, c: 2 * torch.tanh(x), ["a"], (1, 2, 2), prediction="data")
    runs = sp.sample(
        model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(8, 0.05, 10), samples=100, progress=False
    )
    real = np.random.default_rng(0).uniform(-1, 1, (50, 1, 2, 2))
    sp.quality.measure(runs, real, extractor, progress=False)
    assert all(low >= 0 and high <= 1 and shape == (1, 2, 2) for low, high, shape in seen)
    assert max(high for _, high, _ in seen) == 1.0  # samples beyond white are cut off, as a picture would
    sp.quality.measure(runs, real, lambda x: x.flatten(1), decode=lambda x: x + 5, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extractor": 3}, "extractor=3 cannot be called"),
        ({"extractor": lambda x: x[:, :, None]}, "extractor returned shape (256, 2, 1)"),
        ({"extractor": lambda x: x[:3]}, "extractor returned 3 rows for 256 samples of real"),
        ({"extractor": lambda x: 1 / 0}, "extractor or decode raised ZeroDivisionError"),
        ({"extractor": lambda x: x / 0}, "features of real is"),
        ({"decode": lambda x: x["a"]}, "extractor or decode raised"),
        ({"real": np.zeros((9, 3))}, "real has shape (9, 3); at least 3 samples of shape (2,)"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"confidence": 2}, "confidence=2"),
    ],
    # an address would be another in every process
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_bad_input_is_named(runs: xr.Dataset, real: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecentError, match=re.escape(message)):
        sp.quality.measure(**{"runs": runs, "real": real, "extractor": Signs(), "progress": False, **options})


def test_runs_must_be_trajectories_and_enough(runs: xr.Dataset, real: np.ndarray, table: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="trajectories"):
        sp.quality.measure(table, real, Signs())
    with pytest.raises(SpecentError, match="runs holds 40 trajectories a setting; at least 96 are needed"):
        sp.quality.measure(runs.isel(sample=slice(20)), real, Signs())
