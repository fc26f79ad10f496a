"""The chain and its evidence, against independent computations and exact profiles."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import kstest, norm

import specent as sp
from specent.sampling.streams import Streams
from specent.schedules import DDPM, VE, VP, FlowMatching, edm_grid

BITS = 1 / np.log(2)


def two_points(mean: float = 1.0, dimension: int = 1) -> sp.exact.GaussianMixture:
    means = np.full((2, dimension), mean)
    means[0] *= -1
    return sp.exact.GaussianMixture(means, labels=["left", "right"])


def runs_of(mix: sp.exact.GaussianMixture, steps: int, samples: int, **more: object) -> xr.Dataset:
    options = {"schedule": VE(), "time": edm_grid(steps), "partitions": [sp.Partition.full(mix.labels)]}
    return sp.sample(sp.models.mixture(mix), samples=samples, progress=False, **{**options, **more})


def test_evidence_equals_the_difference_of_transition_log_densities() -> None:
    """The same path, written out in NumPy with the textbook density of every transition."""
    mix = sp.exact.GaussianMixture(
        [[-2.0, 0.0], [1.0, 1.0], [2.0, -1.0]],
        variance=[0.5, 1.0, 0.2],
        weights=[0.2, 0.5, 0.3],
        labels=["a", "b", "c"],
    )
    schedule, guidance = VP(), sp.Guidance(2.5, (0.5, 5.0))
    time = schedule.time(-2 * np.log(np.geomspace(0.05, 20, 12)))
    runs = sp.sample(
        sp.models.mixture(mix), schedule=schedule, time=time, samples=3, guidance=guidance, seed=4, progress=False
    )
    alpha, sigma = schedule.alpha(time), schedule.sigma(time)

    def denoise(x: np.ndarray, i: int, keep: list[int]) -> np.ndarray:
        level = (sigma[i] / alpha[i]) ** 2
        state, means, variances = x / alpha[i], mix.means[keep], mix.variances[keep]
        weight = mix.weights[keep] * np.prod(norm.pdf(state, means, np.sqrt(variances + level)[:, None]), axis=1)
        each = means + (variances / (variances + level))[:, None] * (state - means)
        return (weight / weight.sum()) @ each

    for c, label in enumerate("abc"):
        for n in range(3):
            stream = Streams(4, [(label, n)], 2, 12)
            x = sigma[-1] * stream.draw()[0]
            expected = np.zeros((12, 4))
            for i in range(11, 0, -1):
                every = np.stack([denoise(x, i, keep) for keep in ([0], [1], [2], [0, 1, 2])])
                w = 2.5 if 0.5 < sigma[i] / alpha[i] <= 5.0 else 1.0
                moved = w * every[c] + (1 - w) * every[3]
                k = (alpha[i] / sigma[i]) ** 2 / (alpha[i - 1] / sigma[i - 1]) ** 2
                spread = sigma[i - 1] * np.sqrt(1 - k)
                mean = alpha[i - 1] * (k * x / alpha[i] + (1 - k) * np.vstack([every, moved]))
                x = mean[-1] + spread * stream.draw()[0]
                log_density = norm.logpdf(x, mean[:-1], spread).sum(axis=1)
                expected[i - 1] = expected[i] + log_density - log_density[c]
            found = runs.isel(guidance=0, class_label=c, sample=n)
            # the textbook form loses digits to cancellation: squares of 1e6 at the clean end leave 1e-9
            np.testing.assert_allclose(found.log_likelihood, expected, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(found.final, denoise(x, 0, [c]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "dimension", "largest"), [(64, 1, 0.08), (256, 1, 0.03), (1000, 1, 0.02), (64, 64, 0.03)]
)
def test_the_path_entropy_approaches_the_exact_one_with_the_number_of_steps(
    steps: int, dimension: int, largest: float
) -> None:
    # 4000 samples: Monte Carlo error 0.005 bit (0.007 where 1000 steps halve the samples); the bounds hold the
    # discretisation error seen at each step count
    mix = two_points(dimension=dimension)
    runs = runs_of(mix, steps, 2000 if steps < 1000 else 1000, seed=2)
    found = sp.entropy(runs, estimator="path", replicates=50).entropy.squeeze().values
    exact = sp.exact.profiles(mix, VE(), runs.time.values, [sp.Partition.full(mix.labels)]).squeeze()
    assert np.abs(found - exact.entropy.values).max() < largest
    if steps < 1000:
        return
    produced = runs.production.values[0, ..., 0] * BITS
    error = np.sqrt(produced.var(axis=1, ddof=1).sum(axis=0) / produced.shape[1]) / 2
    gap = np.abs(produced.mean(axis=(0, 1)) - exact.entropy_rate.values)
    # at the noisy end every trajectory produces the same, with no sampling error at all: the posterior of a path starts
    # at the prior, the exact one has already learnt a little from the state
    started = exact.entropy_rate.values > 0.01
    assert (gap <= 4 * error)[started].all()
    assert gap.max() < 0.002


def test_all_schedules_give_the_same_profile_over_log_snr() -> None:
    mix = two_points(3.0, dimension=2)
    levels = np.geomspace(0.2, 60.0, 40)
    curves, errors = [], []
    for seed, schedule in enumerate([VE(), VP(), DDPM("linear"), FlowMatching()]):
        time = schedule.time(-2 * np.log(levels))
        runs = runs_of(mix, 2, 1000, schedule=schedule, time=time, seed=seed)
        np.testing.assert_allclose(runs.log_snr, -2 * np.log(levels), atol=1e-8)
        posterior = 1 / (1 + np.exp(-runs.log_likelihood.values[0, ..., 1] + runs.log_likelihood.values[0, ..., 0]))
        entropy = -(posterior * np.log2(posterior + 1e-300) + (1 - posterior) * np.log2(1 - posterior + 1e-300))
        curves.append(entropy.mean(axis=(0, 1)))
        errors.append(entropy.std(axis=(0, 1)) / np.sqrt(entropy.shape[0] * entropy.shape[1]))
    for a in range(4):
        for b in range(a):
            error = np.hypot(errors[a], errors[b])
            # 6 pairs of 40 correlated points: 4 standard errors; near the ends both errors vanish with the entropy
            assert (np.abs(curves[a] - curves[b]) <= 4 * error + 1e-3).all()


def test_the_mean_posterior_is_the_prior_at_every_time() -> None:
    mix = sp.exact.GaussianMixture(
        [[-2.0, 0.0], [1.0, 1.0], [2.0, -1.0]], weights=[0.2, 0.5, 0.3], labels=["a", "b", "c"]
    )
    runs = runs_of(mix, 48, 1500, seed=3)
    weight = runs.label_prior.values
    logits = runs.log_likelihood.values[0, ..., :3] + np.log(weight)
    posterior = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    mean = np.einsum("c,cntk->tk", weight, posterior) / posterior.shape[1]
    error = np.sqrt(np.einsum("c,ctk->tk", weight**2, posterior.var(axis=1)) / posterior.shape[1])
    # 48 times and 3 classes, strongly correlated: 4 standard errors
    assert (np.abs(mean - weight) <= 4 * error + 1e-12).all()


def test_final_samples_follow_the_class() -> None:
    mix = sp.exact.GaussianMixture([[-3.0], [3.0]], variance=[0.25, 4.0], labels=["left", "right"])
    # the start leaves out the mean at sigma_max: 3/200 of a standard deviation, below what 1000 samples resolve
    runs = runs_of(mix, 400, 1000, time=edm_grid(400, 0.002, 200.0), seed=6)
    for c, (mean, deviation) in enumerate([(-3.0, 0.5), (3.0, 2.0)]):
        assert kstest(runs.final.values[0, c, :, 0], norm(mean, deviation).cdf).pvalue > 1e-3


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_and_the_order_of_classes_do_not_change_a_trajectory(batch_size: int) -> None:
    torch.manual_seed(0)
    net = sp.models.EDMNetwork(4, 3, width=32, blocks=2, embedding=16)
    for value in net.parameters():
        torch.nn.init.normal_(value, std=0.2)
    model = sp.models.network(
        lambda x, s, c: net(x.reshape(len(x), -1), s, net.modulation(s, c)).reshape(x.shape),
        ["a", "b", "c"],
        (1, 2, 2),
        prediction="data",
    )
    options = {"schedule": VE(), "time": edm_grid(12, 0.05), "samples": 5, "seed": 9, "progress": False}
    options |= {"guidance": [sp.Guidance(), sp.Guidance(2.0)], "partitions": [sp.Partition.pair("a", "c")]}
    expected = sp.sample(model, **options)
    found = sp.sample(model, classes=["c", "a", "b"], batch_size=batch_size, **options).sel(class_label=["a", "b", "c"])
    for name in ("final", "log_likelihood", "production"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_guidance_settings_share_their_noise_and_a_setting_that_never_applies_changes_nothing() -> None:
    mix = two_points(4.0)
    never, early = sp.Guidance(3.0, (500.0, 600.0)), sp.Guidance(3.0, (10.0, np.inf))
    runs = runs_of(mix, 24, 20, guidance=[sp.Guidance(), never, early])
    same = runs.sel(guidance=str(never))
    np.testing.assert_array_equal(same.final, runs.sel(guidance="unguided").final)
    np.testing.assert_array_equal(same.log_likelihood, runs.sel(guidance="unguided").log_likelihood)
    other = runs.sel(guidance=str(early))
    assert np.abs(other.final - runs.sel(guidance="unguided").final).max() > 1e-3
    started = runs.time.values > 10.0
    # one step of guidance moves the state, the evidence at the start is still shared
    np.testing.assert_array_equal(
        other.log_likelihood[..., started, :][..., -1, :], runs.sel(guidance="unguided").log_likelihood[..., -1, :]
    )


def test_classes_share_noise_on_request_only() -> None:
    mix = two_points(0.0 + 1e-9)  # two equal classes: the trajectories differ by their noise alone
    own, shared = (runs_of(mix, 10, 5, shared_noise=flag).final.values for flag in (False, True))
    np.testing.assert_allclose(shared[0, 0], shared[0, 1], atol=1e-6)
    assert np.abs(own[0, 0] - own[0, 1]).min() > 1e-3


def test_stored_production_follows_from_the_stored_distances() -> None:
    mix = sp.exact.GaussianMixture([[-2.0, 0.0], [1.0, 1.0], [2.0, -1.0]], labels=["a", "b", "c"])
    partitions = [sp.Partition.one_vs_rest("b", mix.labels), sp.Partition.full(mix.labels)]
    guidance = [sp.Guidance(), sp.Guidance(2.0, (1.0, 20.0))]
    # with 20 steps the estimators part, and are warned about
    runs = runs_of(mix, 64, 8, partitions=partitions, guidance=guidance)
    for name in ("production", "cross_production"):
        assert runs[name].attrs["units"] == "1"
    afterwards = sp.entropy(runs.drop_vars(["production", "cross_production", "partition", "definition"]), partitions)
    before = sp.entropy(runs)
    np.testing.assert_allclose(afterwards.entropy_rate, before.entropy_rate, rtol=1e-4, atol=1e-6)


def test_predictions_are_kept_at_the_nearest_times_and_end_in_the_final_sample() -> None:
    mix = two_points(2.0, dimension=3)
    grid = edm_grid(16)
    runs = runs_of(mix, 16, 4, record=sp.Record([grid[0], 1.0, 79.0]))
    assert runs.prediction.dims == ("guidance", "class_label", "sample", "prediction_time", "feature")
    assert set(runs.prediction_time.values) <= set(grid)
    np.testing.assert_array_equal(runs.prediction.isel(prediction_time=0), runs.final)


def test_the_dataset_says_what_it_is() -> None:
    runs = runs_of(two_points(), 8, 4, seed=11)
    sp.validate(runs)
    assert json.loads(runs.attrs["model"])["name"] == "gaussian_mixture"
    assert json.loads(runs.attrs["settings"])["samples"] == 4
    assert runs.attrs["seed"] == 11
    assert "Philox" in runs.attrs["seed_rule"]
    assert "w = 1 is unguided" in runs.attrs["guidance_formula"]


def test_fewer_candidates_can_be_scored() -> None:
    mix = sp.exact.GaussianMixture([[-2.0], [1.0], [2.0]], labels=["a", "b", "c"])
    runs = runs_of(mix, 8, 4, classes=["a"], candidates=["a", "null"], partitions=[])
    assert runs.candidate.values.tolist() == ["a", "null"]
    assert runs.candidate_prior.values.tolist() == pytest.approx([1 / 3, 0.0])
    full = runs_of(mix, 8, 4, classes=["a"], partitions=[])
    np.testing.assert_allclose(full.log_likelihood.sel(candidate=["a", "null"]), runs.log_likelihood, rtol=1e-12)


def test_a_grid_that_does_not_start_in_pure_noise_is_warned_about() -> None:
    mix = two_points(2.0)
    with pytest.warns(sp.SpecentWarning, match="starts from pure noise"):
        runs_of(mix, 8, 4, time=edm_grid(8, 0.05, 3.0))
    # the clock forgotten: noise levels taken as integer times of another schedule
    with pytest.warns(sp.SpecentWarning, match=r"noise level 0\.27"):
        runs_of(mix, 8, 4, schedule=DDPM("linear"), time=edm_grid(8, 0.05, 80.0))
    # what is told is the mutual information at the start, up to terms of second order in it
    exact = sp.exact.profiles(mix, VE(), [8.0, 9.0], [sp.Partition.full(mix.labels)])
    assert 0.02 < float(exact.mutual_information[0, 0, 0, 0]) < 0.05
    runs_of(mix, 8, 4, time=edm_grid(8, 0.05, 8.0))


def test_a_network_left_in_training_mode_is_sampled_in_evaluation_mode() -> None:
    class Dropping(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.exact, self.drop = sp.models.mixture(two_points(2.0, dimension=2)), torch.nn.Dropout(0.2)

        def forward(self, x: torch.Tensor, sigma: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return self.drop(self.exact.denoise(x, float(sigma[0]), condition))

    class Own(sp.models.Model):
        """A model of one's own around such a network."""

        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__(["left", "right"], (2,))
            self.net = net

        identity = property(lambda self: {"name": "own"})

        def to(self, device: torch.device) -> "Own":
            return self

        def denoise(self, x: torch.Tensor, sigma: float, condition: torch.Tensor) -> torch.Tensor:
            return self.net(x, torch.full((len(x),), sigma, dtype=torch.float64), condition)

    # with active dropout the evidence is that of noise: 36 bit for 0.7
    net = Dropping().train()
    expected = runs_of(two_points(2.0, dimension=2), 16, 20)
    options = {"schedule": VE(), "time": edm_grid(16), "samples": 20, "partitions": "full", "progress": False}
    wrapped = sp.models.network(net, ["left", "right"], (2,), prediction="data", dtype=torch.float64)
    for model in (wrapped, Own(net)):
        runs = sp.sample(model, **options)
        np.testing.assert_allclose(runs.log_likelihood, expected.log_likelihood, rtol=1e-9, atol=1e-9)
        assert net.training
        assert net.drop.training
