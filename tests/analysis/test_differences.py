"""Differences between guidance settings are those of the profiles, paired, with intervals that cover."""

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.analysis import differences
from specent.errors import SpecentError

SETTINGS = [sp.Guidance(), sp.Guidance(3.0), sp.Guidance(2.0, (0.5, 5.0))]


def sampled(samples: int, seed: int = 0, guidance: list[sp.Guidance] = SETTINGS, steps: int = 64) -> xr.Dataset:
    """Trajectories of two components at -8 and 8, of unit variance."""
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
    return sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(steps, 0.05, 80),
        samples=samples, partitions=[sp.Partition.pair("left", "right")], guidance=guidance, seed=seed, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def profiles() -> xr.Dataset:
    return sp.entropy(sampled(100), estimator=("path", "cross_entropy"))


def several(profiles: xr.Dataset, factors: list[float]) -> xr.Dataset:
    """Profiles of as many partitions, whose values are multiples of one."""
    names = [f"{i} | rest" for i in range(len(factors))]
    parts = []
    for name, factor in zip(names, factors, strict=True):
        text = sp.Partition.groups({"a": ["left"], "b": ["right"]}, (0.5, 0.5), name).to_json()
        part = profiles.assign_coords(partition=[name], definition=("partition", [text]))
        parts.append(part.assign({key: value * factor for key, value in part.data_vars.items()}))
    joined = xr.concat(parts, "partition", join="exact")
    kept = {key: profiles.attrs[key] for key in ("rate_axis", "schedule", "confidence")}
    return schema.finish(joined, "profiles", title="several", settings={}, **kept)


def test_a_difference_is_that_of_the_profiles(profiles: xr.Dataset) -> None:
    made = differences(profiles)
    assert made.guidance.values.tolist() == ["w=3", "w=2 for 0.5<sigma<=5"]
    for name in ("entropy", "entropy_rate"):
        for setting in made.guidance.values:
            wanted = profiles[name].sel(guidance=setting) - profiles[name].sel(guidance="unguided")
            np.testing.assert_array_equal(made[f"{name}_difference"].sel(guidance=setting), wanted)
    assert made.attrs["reference"] == "unguided"
    assert made.attrs["confidence"] == 0.95


def test_median_and_quartiles_are_over_the_partitions(profiles: xr.Dataset) -> None:
    # of the multiples 1, 2, 3, 4 and 5 of one curve the quartiles are 2 and 4, or the other way where it is negative
    made = differences(several(profiles, [3.0, 1.0, 5.0, 2.0, 4.0]))
    single = differences(profiles)
    for name in ("entropy_difference", "entropy_rate_difference"):
        curve = single[name].isel(partition=0)
        np.testing.assert_allclose(made[f"median_{name}"], 3 * curve, atol=1e-12)
        low, high = np.minimum(2 * curve, 4 * curve), np.maximum(2 * curve, 4 * curve)
        np.testing.assert_allclose(made[f"lower_quartile_{name}"], low, atol=1e-12)
        np.testing.assert_allclose(made[f"upper_quartile_{name}"], high, atol=1e-12)
        # all partitions rest on the same replicates, so the interval of the median is three times that of one;
        # replicates are kept in single precision
        for bound in ("lower", "upper"):
            wanted = 3 * single[f"{name}_{bound}"].isel(partition=0)
            np.testing.assert_allclose(made[f"median_{name}_{bound}"], wanted, atol=1e-4)


def test_pairing_makes_the_interval_of_a_difference_narrower_than_its_parts_allow(profiles: xr.Dataset) -> None:
    made = differences(profiles).sel(guidance="w=2 for 0.5<sigma<=5", estimator="path").isel(partition=0)
    # above the interval both runs are the same path: nothing differs, and the interval knows it
    early = made.where(made.sigma > 6, drop=True)
    assert float(np.abs(early.entropy_difference).max()) == 0
    assert float(early.entropy_difference_upper.max() - early.entropy_difference_lower.min()) < 1e-9
    unguided = profiles.sel(guidance="unguided", estimator="path").isel(partition=0)
    assert float((unguided.entropy_upper - unguided.entropy_lower).where(unguided.sigma > 6).max()) > 0.01


def test_guidance_moves_production_to_higher_noise() -> None:
    made = differences(sp.entropy(sampled(400, guidance=SETTINGS[:2], steps=128), estimator="path"))
    made = made.squeeze(drop=True)
    # per log_snr at sigma = 12: 0.344 bit by finite differences of the guided entropy with 20000 trajectories a side,
    # 0.2153 exactly without guidance; 800 trajectories: standard error 0.013
    rate = np.interp(12.0, made.sigma, made.entropy_rate_difference)
    assert rate == pytest.approx(0.344 - 0.2153, abs=4 * 0.013)
    # what is settled earlier is not settled later
    late = made.sel(time=slice(2.0, 5.0))
    assert (late.entropy_rate_difference_upper.min("time") < 0).all()
    assert abs(float(made.entropy_rate_difference.integrate("log_snr"))) < 0.05


def test_intervals_of_a_difference_cover_it() -> None:
    guided = [SETTINGS[0], SETTINGS[1]]
    at = {"estimator": "path", "guidance": "w=3", "partition": "left | right"}
    # 100 runs at once: each trajectory has noise of its own. What all say together is the truth to a tenth of the error
    # of one, and it takes 1 % of the variance from them, which changes the coverage by 0.1 %
    runs = sampled(6000, 0, guided, 24)
    wide = differences(sp.entropy(runs, estimator="path", replicates=50))
    places = np.flatnonzero((wide.sigma.values > 3) & (wide.sigma.values < 30))
    truth = wide.entropy_difference.sel(at).values[places]
    inside = []
    for seed in range(100):
        run = runs.isel(sample=slice(60 * seed, 60 * seed + 60))
        made = differences(sp.entropy(run, estimator="path", seed=seed)).sel(at)
        low, high = (made[f"entropy_difference_{bound}"].values[places] for bound in ("lower", "upper"))
        inside.append((low <= truth) & (truth <= high))
    # of 100 runs a nominal 95 % interval covers in 95 +- 2.2 of them at every place
    assert (np.mean(inside, axis=0) > 0.95 - 4 * 0.022).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.sel(guidance=["unguided"]), "'unguided' alone"),
        (lambda made: made.sel(guidance=["w=3"]), "reference='unguided' is no guidance setting"),
        (lambda made: made.drop_dims("replicate"), "keep_replicates=True"),
        (lambda made: made.where(made.time > 0.06), r"entropy is not finite at estimator=path, .*time=0.05"),
        (lambda made: made.to_array(), "profiles is a DataArray"),
    ],
    ids=["alone", "reference", "replicates", "nan", "type"],
)
def test_what_cannot_be_compared_is_refused(profiles: xr.Dataset, change: object, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        differences(change(profiles))


def test_a_confidence_out_of_range_is_refused(profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="confidence=1"):
        differences(profiles, confidence=1.0)


def test_profiles_over_dimensions_are_refused() -> None:
    made = sp.exact.scaling_profiles([4.0, 16.0], sp.schedules.VE(), sp.schedules.edm_grid(8, 0.1, 100))
    with pytest.raises(SpecentError, match="dimension"):
        differences(made)
