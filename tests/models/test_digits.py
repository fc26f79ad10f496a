"""The shipped model of real images, against the exact posterior of its own data."""

import numpy as np
import pytest
import xarray as xr
from sklearn.svm import SVC

import specent as sp
from specent.errors import CalibrationWarning
from specent.models.digits import digits_data

# so many steps move the half-entropy level by one per cent, of the five that are allowed
SAMPLES, STEPS = 40, 64


@pytest.fixture(scope="module")
def partitions() -> list[sp.Partition]:
    labels = sp.models.digits().labels
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    return [sp.Partition.full(labels), *pairs]


@pytest.fixture(scope="module")
def runs(partitions: list[sp.Partition]) -> xr.Dataset:
    return sp.sample(
        sp.models.digits(),
        schedule=sp.schedules.VE(),
        time=sp.schedules.edm_grid(STEPS, 0.02),
        samples=SAMPLES,
        partitions=partitions,
        progress=False,
    )


@pytest.fixture(scope="module")
def exact(runs: xr.Dataset, partitions: list[sp.Partition]) -> xr.Dataset:
    data = sp.models.finite(*digits_data())
    return sp.exact.profiles(data, sp.schedules.VE(), runs.time.values, partitions[:1], samples=60, progress=False)


def test_the_full_set_entropy_is_that_of_the_data(runs: xr.Dataset, exact: xr.Dataset) -> None:
    found = sp.entropy(runs, "full", "path")
    gap = np.abs(found.entropy.squeeze().values - exact.entropy.squeeze().values)
    # 400 trajectories and 600 draws: their standard errors are below 0.03 and 0.025 bit
    assert gap.max() < 0.2
    places = [float(sp.speciation(prof, axis="sigma").half_entropy.squeeze()) for prof in (found, exact)]
    assert abs(places[0] / places[1] - 1) < 0.05


def test_every_pair_is_decided_in_the_end(runs: xr.Dataset, partitions: list[sp.Partition]) -> None:
    found = sp.entropy(runs, partitions[1:], "path", replicates=50)
    assert float(found.entropy.isel(time=0).max()) < 0.02


def test_samples_are_given_their_drivers_label_by_an_independent_classifier(runs: xr.Dataset) -> None:
    images, labels = digits_data()
    judge = SVC(gamma=0.02).fit(images.reshape(len(images), -1), labels)
    given = judge.predict(runs.final.values.reshape(10 * SAMPLES, -1)).reshape(10, SAMPLES)
    assert (given == runs.class_label.values[:, None]).mean() >= 0.95


def test_the_null_estimator_runs_far_below_zero_and_is_warned_about(runs: xr.Dataset) -> None:
    with pytest.warns(CalibrationWarning, match="null"):
        found = sp.entropy(runs, "full", ("path", "null"), replicates=50)
    assert float(found.entropy.sel(estimator="null").isel(time=0).squeeze()) < -5
    assert int(found.clipped_ratios.sel(estimator="null").isel(time=0).squeeze()) > 0
    # where little is decided yet, the null network still serves as the mixture
    noisy = found.entropy.where(found.sigma > 5, drop=True).squeeze()
    assert float(np.abs(noisy.sel(estimator="null") - noisy.sel(estimator="path")).max()) < 0.1
