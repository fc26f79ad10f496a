"""Chains under guidance that feeds back: the scale follows the path, the evidence stays that of the unguided model."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import specent as sp
from specent.errors import ArchiveError, SpecentError
from specent.guidance import from_json
from specent.sampling.streams import Streams
from specent.schedules import VE, VP, edm_grid

MIX = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
FULL = sp.Partition.full(MIX.labels)
FEEDBACK = sp.FeedbackGuidance(0.95, 0.5, 0.3, largest=6.0, gap=2.0)


def runs_of(guidance: object, **more: object) -> xr.Dataset:
    options = {"schedule": VE(), "time": edm_grid(24, 0.1, 80.0), "samples": 30, "partitions": [FULL], **more}
    return sp.sample(sp.models.mixture(MIX), guidance=guidance, progress=False, **options)


@pytest.mark.parametrize("setting", [sp.FeedbackGuidance(0.8), FEEDBACK], ids=str)
def test_the_chain_is_the_one_written_out_with_textbook_densities(setting: sp.FeedbackGuidance) -> None:
    schedule = VP()
    time = schedule.time(-2 * np.log(np.geomspace(0.1, 40, 14)))
    runs = runs_of(setting, schedule=schedule, time=time, samples=3, seed=5)
    alpha, sigma = schedule.alpha(time), schedule.sigma(time)
    level = sigma / alpha
    temperature, offset = setting.tuning(level)

    def denoise(x: float, i: int) -> tuple[float, float, float]:
        means, spread = np.array([-4.0, 4.0]), np.sqrt(1 + level[i] ** 2)
        weight = norm.pdf(x / alpha[i], means, spread)
        each = means + (x / alpha[i] - means) / spread**2
        return each[0], each[1], float(weight @ each / weight.sum())

    for c, label in enumerate(MIX.labels):
        for n in range(3):
            stream = Streams(5, [(label, n)], 1, 14)
            x = sigma[-1] * stream.draw()[0, 0]
            log_ratio, scales, log_likelihood = 0.0, np.empty(14), np.zeros((14, 3))
            for i in range(13, -1, -1):
                every = np.array(denoise(x, i))
                ratio = np.exp(log_ratio)
                scales[i] = min(ratio / (ratio - (1 - setting.pi)), setting.largest)
                moved = every[2] + scales[i] * (every[c] - every[2])
                if i == 0:
                    break
                k = (level[i - 1] / level[i]) ** 2
                spread = sigma[i - 1] * np.sqrt(1 - k)
                mean = alpha[i - 1] * (k * x / alpha[i] + (1 - k) * np.append(every, moved))
                x = mean[-1] + spread * stream.draw()[0, 0]
                density = norm.logpdf(x, mean[:-1], spread)
                log_likelihood[i - 1] = log_likelihood[i] + density - density[c]
                least = np.log((1 - setting.pi) * setting.largest / (setting.largest - 1))
                log_ratio = max(log_ratio + temperature * (density[c] - density[2]) + offset, least)
            found = runs.isel(guidance=0, class_label=c, sample=n)
            # differences of two squared errors leave 1e-9 at the clean end
            np.testing.assert_allclose(found.scale, scales, rtol=1e-7)
            np.testing.assert_allclose(found.log_likelihood, log_likelihood, rtol=1e-7, atol=1e-8)
            np.testing.assert_allclose(found.final, moved, rtol=1e-5)


def test_without_offset_the_scale_is_that_of_the_recorded_evidence() -> None:
    setting = sp.FeedbackGuidance(0.7)
    runs = runs_of([sp.Guidance(2.0, (1.0, 9.0)), setting])
    ratio = np.exp(-runs.log_likelihood.sel(candidate="null", guidance=str(setting)))
    expected = (ratio / (ratio - 0.3)).where(ratio > 0.3, np.inf).clip(1.0, 10.0)
    followed = ratio.isel(time=slice(None, None, -1)).cumulative("time").min().isel(time=slice(None, None, -1))
    # beyond the bound on the ratio the two part, by construction
    free = followed > 0.3 * 10 / 9
    assert free.mean() > 0.5
    np.testing.assert_allclose(runs.scale.sel(guidance=str(setting)).where(free), expected.where(free), rtol=1e-9)
    inside = (runs.time > 1.0) & (runs.time <= 9.0)
    assert (runs.scale.isel(guidance=0) == xr.where(inside, 2.0, 1.0)).all()


def test_other_settings_of_the_same_run_are_what_they_are_without_it() -> None:
    alone = runs_of([sp.Guidance(), sp.Guidance(2.0)])
    beside = runs_of([sp.Guidance(), FEEDBACK, sp.Guidance(2.0)])
    for name in alone.data_vars:
        np.testing.assert_array_equal(alone[name], beside[name].isel(guidance=[0, 2]))
    assert "scale" not in alone
    assert "guidance_definition" not in alone.coords
    assert "feedback" not in alone.attrs["guidance_formula"]
    assert "r / (r - (1 - pi))" in beside.attrs["guidance_formula"]
    assert [str(from_json(str(text))) for text in beside.guidance_definition.values] == beside.guidance.values.tolist()


def test_batches_do_not_change_a_trajectory() -> None:
    whole, parts = runs_of(FEEDBACK), runs_of(FEEDBACK, batch_size=7)
    for name in ("scale", "log_likelihood", "final", "production"):
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-9, atol=1e-12)


def test_production_under_feedback_integrates_to_the_measured_entropies() -> None:
    # 300 steps: the trapezoid and the finite step of the chain cost about 0.01 bit
    setting = sp.FeedbackGuidance(0.9, 0.4, 0.35, gap=0.02)
    runs = runs_of([sp.Guidance(), setting], time=np.geomspace(0.3, 80, 300), samples=400, seed=3)
    scale = runs.scale.sel(guidance=str(setting))
    assert float(scale.std("sample").max()) > 0.5  # trajectories differ in their scales
    made = sp.entropy(runs, estimator=("path", "cross_entropy", "denoiser_gap"), replicates=100).isel(partition=0)
    path, cross, gap = (made.sel(estimator=name) for name in ("path", "cross_entropy", "denoiser_gap"))
    error = (path.entropy_replicate - gap.entropy_replicate).std("replicate")
    # 300 strongly correlated times
    assert (np.abs(path.entropy - gap.entropy) <= 4 * error + 0.02).all()
    area = 0.5 * (cross.entropy_rate[:, 1:].values + cross.entropy_rate[:, :-1].values) * -np.diff(made.log_snr)
    integral = 1 - np.cumsum(area[:, ::-1], axis=1)[:, ::-1]
    again = cross.entropy_rate_replicate.transpose("replicate", "guidance", "time").values.astype(float)
    area = 0.5 * (again[..., 1:] + again[..., :-1]) * -np.diff(made.log_snr)
    paired = 1 - np.cumsum(area[..., ::-1], axis=-1)[..., ::-1]
    measured = cross.entropy_replicate.transpose("replicate", "guidance", "time").values[..., :-1]
    error = (paired - measured).std(axis=0)
    assert (np.abs(integral - cross.entropy.values[:, :-1]) <= 4 * error + 0.02).all()
    # and the guided curves are other ones: commitment moves to higher noise
    guided, plain = cross.entropy.sel(guidance=str(setting)), cross.entropy.sel(guidance="unguided")
    assert float((plain - guided).max()) > 0.1


def test_new_questions_can_be_asked_of_an_archive_and_need_the_scales(tmp_path: Path) -> None:
    runs = runs_of([sp.Guidance(), FEEDBACK])
    path = sp.write(runs, tmp_path / "runs.nc")
    again = sp.open(path)
    assert again.guidance_definition.values.tolist() == runs.guidance_definition.values.tolist()
    np.testing.assert_array_equal(again.scale, runs.scale)
    assert FEEDBACK.to_json() in sp.describe(path)
    assert "w <= 6 for 0 < sigma/alpha <= inf" in sp.describe(path)
    turned = sp.Partition.groups({"r": ["right"], "l": ["left"]}, prior=[0.5, 0.5], name="turned")
    both = sp.entropy(again, [FULL, turned], replicates=50)
    for name in ("entropy", "entropy_rate"):
        np.testing.assert_allclose(both[name].sel(partition="turned"), both[name].sel(partition="full"), 1e-5, 1e-9)
    assert both.guidance_definition.values.tolist() == runs.guidance_definition.values.tolist()
    sp.validate(sp.write(sp.speciation(both), tmp_path / "places.nc"))
    with pytest.raises(SpecentError, match=r"needs the variable 'scale'.*rate='differences'"):
        sp.entropy(again.drop_vars("scale"), turned)
    # a selection without feedback needs none
    sp.entropy(again.drop_vars("scale").sel(guidance=["unguided"]), turned, replicates=50)


def test_definitions_that_do_not_fit_their_numbers_are_refused(tmp_path: Path) -> None:
    runs = runs_of([sp.Guidance(), FEEDBACK])
    swapped = runs.assign_coords(
        guidance_definition=("guidance", runs.guidance_definition.values[::-1], runs.guidance_definition.attrs)
    )
    with pytest.raises(ArchiveError, match=r"guidance 'unguided' has guidance_scale.*but the definition of 'feedback"):
        sp.write(swapped, tmp_path / "x.nc")
    broken = runs.assign_coords(
        guidance_definition=("guidance", ["{}", FEEDBACK.to_json()], runs.guidance_definition.attrs)
    )
    with pytest.raises(ArchiveError, match="is of no guidance setting"):
        sp.entropy(broken)
    assert list(tmp_path.iterdir()) == []


def test_it_needs_a_null_condition_among_the_candidates() -> None:
    with pytest.raises(SpecentError, match="must hold 'null' for a guided run"):
        runs_of(FEEDBACK, candidates=["left", "right"])
    model = sp.models.network(lambda x, s, c: x, ["a", "b"], (2,), prediction="data", null=False)
    with pytest.raises(SpecentError, match=r"guidance feedback .* needs a null condition"):
        sp.sample(model, schedule=VE(), time=edm_grid(8), samples=2, guidance=FEEDBACK, progress=False)
    with pytest.raises(SpecentError, match="none twice"):
        runs_of([FEEDBACK, FEEDBACK])
