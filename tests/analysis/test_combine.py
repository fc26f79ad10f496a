import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import ArchiveError, SpecentError
from specent.schedules import VE, edm_grid

_MIX = sp.exact.GaussianMixture([[-2.0], [2.0]], labels=["a", "b"])


@pytest.fixture(scope="module")
def guided(pair_runs):
    return sp.entropy(pair_runs, estimator=("path", "cross_entropy"), replicates=50)


@pytest.fixture(scope="module")
def exact(pair_runs):
    return sp.exact.profiles(_MIX, VE(), pair_runs.time.values, [sp.Partition.pair("a", "b")])


def test_parts_stand_side_by_side_with_their_own_numbers(exact, guided):
    plain = guided.sel(guidance=["unguided"])
    both = sp.analysis.combine(exact, plain)
    schema.validate(both, "profiles")
    assert both.estimator.values.tolist() == ["exact", "path", "cross_entropy"]
    for part in (exact, plain):
        for name in ("entropy", "entropy_rate_lower", "mutual_information_upper"):
            found = both[name].sel(estimator=part.estimator.values)
            assert np.array_equal(found, part[name].transpose(*found.dims))
    turned = sp.analysis.combine(exact.transpose("time", ...), plain.transpose("guidance", "time", ...))
    assert np.array_equal(turned.entropy, both.entropy)


def test_an_unguided_reference_beside_guided_runs_says_what_to_select(exact, guided):
    with pytest.raises(
        SpecentError, match=r"in the coordinate 'guidance'; take .sel\(guidance=\['unguided'\]\) of each"
    ):
        sp.analysis.combine(exact, guided)


def test_parts_at_another_log_snr_are_refused(exact):
    doubled = exact.assign_coords(
        estimator=("estimator", ["other"], exact.estimator.attrs), log_snr=exact.log_snr.copy(data=2 * exact.log_snr)
    )
    with pytest.raises(SpecentError, match=r"datasets\[1\]: log_snr is not ln"):
        sp.analysis.combine(exact, doubled)
    # two schedules that share their times
    one, two = (
        sp.exact.profiles(_MIX, sp.schedules.DDPM(betas), [10.0, 500.0, 900.0], [sp.Partition.pair("a", "b")])
        for betas in ("linear", "cosine")
    )
    renamed = two.assign_coords(estimator=("estimator", ["other"], two.estimator.attrs))
    message = r"datasets\[1\] differs from datasets\[0\] in the coordinate 'log_snr'; make both from the same"
    with pytest.raises(SpecentError, match=message):
        sp.analysis.combine(one, renamed)


def _sweep(sizes):
    made = sp.exact.scaling_profiles(sizes, VE(), edm_grid(8))
    return made, made.assign_coords(estimator=("estimator", ["other"], made.estimator.attrs))


def test_parts_of_other_dimensions_are_refused():
    first, renamed = _sweep([4.0, 16.0, 64.0])
    assert sp.analysis.combine(first, renamed).sizes["estimator"] == 2
    with pytest.raises(SpecentError, match=r"coordinate 'dimension'; take .sel\(dimension=\[16.0, 64.0\]\) of each"):
        sp.analysis.combine(first, _sweep([16.0, 64.0, 256.0])[1])
    with pytest.raises(SpecentError, match="coordinate 'dimension'; they have none in common"):
        sp.analysis.combine(first, _sweep([5.0, 6.0, 7.0])[1])
    mix = sp.exact.GaussianMixture([[-2.0], [2.0]], labels=["-", "+"])
    single = sp.exact.profiles(mix, VE(), edm_grid(8), [sp.Partition.pair("-", "+")])
    single = single.assign_coords(estimator=("estimator", ["other"], single.estimator.attrs))
    for parts in ((first, single), (single, first)):
        with pytest.raises(SpecentError, match="coordinate 'dimension'; one of them has no dimension of that name"):
            sp.analysis.combine(*parts)


def test_other_misfits_are_named(exact, guided, pair_runs):
    plain = guided.sel(guidance=["unguided"])
    for parts, message in (
        ((exact,), "combine got 1 dataset"),
        ((exact, exact), "hold one twice"),
        ((exact, 3), r"datasets\[1\] is a int"),
        (([exact, plain], exact), r"datasets\[0\] is a list"),
        ((exact, plain.isel(time=slice(1, None))), "coordinate 'time'; make both from the same runs"),
        ((exact, sp.entropy(pair_runs, estimator="path", rate_axis="sigma").sel(guidance=["unguided"])), "rate_axis="),
    ):
        with pytest.raises(SpecentError, match=message):
            sp.analysis.combine(*parts)
    with pytest.raises(ArchiveError, match="'profiles' is needed"):
        sp.analysis.combine(exact, pair_runs)


def test_replicates_are_kept_if_every_part_has_as_many(pair_runs, exact):
    path, cross = (sp.entropy(pair_runs, estimator=name, replicates=50) for name in ("path", "cross_entropy"))
    assert sp.analysis.combine(path, cross).sizes["replicate"] == 50
    fewer = sp.entropy(pair_runs, estimator="cross_entropy", replicates=60)
    assert "replicate" not in sp.analysis.combine(path, fewer).dims
    mixed = sp.analysis.combine(exact, path.sel(guidance=["unguided"]))
    assert isinstance(mixed, xr.Dataset)
    assert "replicate" not in mixed.dims


def _classes(labels, seed=0):
    """Runs in which each class is held against the null condition, which mixes them."""
    mix = sp.exact.GaussianMixture([[-4.0], [0.0], [5.0]], labels=["a", "b", "c"])
    return sp.sample(
        sp.models.mixture(mix), schedule=VE(), time=edm_grid(12), samples=10, classes=[*labels, "null"], seed=seed,
        partitions=[sp.Partition.pair(label, "null") for label in labels], progress=False,
    )  # fmt: skip


def test_questions_that_were_sampled_one_after_another_are_joined_as_if_at_once():
    labels = ["a", "b", "c"]
    together = sp.entropy(_classes(labels), replicates=50)
    parts = [sp.entropy(_classes([label]), replicates=50) for label in labels]
    made = sp.analysis.combine(*parts, along="partition")
    schema.validate(made, "profiles")
    assert made.partition.values.tolist() == together.partition.values.tolist()
    assert made.definition.values.tolist() == together.definition.values.tolist()
    for name in ("entropy", "entropy_rate", "mutual_information"):
        np.testing.assert_allclose(made[name], together[name], atol=1e-12)
    assert made.sizes["replicate"] == 50
    assert made.attrs["model"] == parts[0].attrs["model"]


def test_questions_that_do_not_fit_or_come_twice_are_refused():
    first, second = (sp.entropy(_classes([label]), replicates=50) for label in ("a", "b"))
    with pytest.raises(SpecentError, match="hold one twice"):
        sp.analysis.combine(first, first, along="partition")
    with pytest.raises(SpecentError, match=r"differs .* in the coordinate 'estimator'"):
        sp.analysis.combine(first, second.sel(estimator=["path"]), along="partition")
    with pytest.raises(SpecentError, match="along='time' must be"):
        sp.analysis.combine(first, second, along="time")


def test_datasets_of_the_other_kind_are_answered_with_the_dimensions_that_fit(exact, guided, pair_runs):
    with pytest.raises(ArchiveError, match=r"along='estimator' joins profiles.*trajectories: pass along='sample'"):
        sp.combine([pair_runs, pair_runs])
    with pytest.raises(ArchiveError, match=r"along='sample' joins trajectories.*profiles: pass along='estimator'"):
        sp.combine(exact, guided, along="sample")
