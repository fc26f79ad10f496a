"""U-turns of exact models against closed forms: phi, kernel, basin, and what the numbers do not depend on."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.special import ndtr

import specent as sp
from specent.interventions.turning import continuation_grid

VE = sp.schedules.VE()
TWO = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
FOUR = sp.exact.GaussianMixture([[a, b] for a in (-8.0, 8.0) for b in (-2.0, 2.0)])


def turn(mix: sp.exact.GaussianMixture = TWO, **options: Any) -> xr.Dataset:
    chosen = {"levels": [8.0], "samples": 100, "steps": 8, "time": sp.schedules.edm_grid(64), **options}
    return sp.u_turn(sp.models.mixture(mix), schedule=VE, progress=False, **chosen)


def test_phi_after_extrapolation_is_the_exact_one_whoever_moves() -> None:
    turned = turn(samples=1500, steps=(8, 16, 32, 64), mover=("null", "mixture", "class"))
    exact = sp.exact.u_turns(TWO, VE, [8.0]).phi.item()
    assert exact == pytest.approx(0.7727, abs=5e-5)
    assert (abs(turned.phi - exact) < 4 * turned.phi_standard_error).all()
    assert (abs(turned.disagreement) < 4 * turned.disagreement_standard_error).all()
    # finite steps raise phi: by .037 at 8 of them, five standard errors of 3000 trajectories, and by less at more
    raw = turned.phi_at_steps.sel(mover="mixture").squeeze()
    assert raw[0] - exact > 0.02
    assert (raw.diff("steps") < 0).all()
    assert float(turned.step_error.sel(mover="mixture").squeeze()) < 0


def test_the_standard_error_is_that_of_counting() -> None:
    turned = turn(samples=2000, mover="null", levels=[2.0, 8.0])
    phi = turned.phi.values
    # 200 replicates know a standard deviation to 5 %, and ends are sure here to about that
    np.testing.assert_allclose(turned.phi_standard_error, np.sqrt(phi * (1 - phi) / 4000), rtol=0.25)
    # a row is counted on the trajectories of its side alone
    kernel = turned.kernel.sel(time=8.0).values
    error = turned.kernel_standard_error.sel(time=8.0).values
    np.testing.assert_allclose(error, np.sqrt(kernel * (1 - kernel) / 2000), rtol=0.25)


def test_the_kernel_of_two_attributes_has_eigenvalues_that_multiply() -> None:
    turned = turn(FOUR, samples=1500, mover="class")
    exact = sp.exact.u_turns(FOUR, VE, [8.0])
    np.testing.assert_allclose(turned.kernel.sum("end_side"), 1, atol=1e-9)
    wide = (turned.eigenvalue_upper - turned.eigenvalue_lower).values[0, 0, 1:] / (2 * 1.96)
    gap = np.abs(turned.eigenvalue.values[0, 0, 1:] - exact.eigenvalue.values[0, 0, 1:])
    assert (gap < 4 * wide).all()
    assert abs(turned.phi - exact.phi.values) < 4 * turned.phi_standard_error
    assert exact.eigenvalue.values[0, 0] == pytest.approx([1, 0.54550, 0.05809, 0.03169], abs=1e-4)


@pytest.mark.parametrize("mover", ["null", "mixture"])
@pytest.mark.parametrize("steps", [4, 40])
def test_without_noise_the_basin_is_counted_at_any_number_of_steps(mover: str, steps: int) -> None:
    turned = turn(samples=1000, mover=mover, steps=steps, continuation="basin")
    assert "phi" not in turned
    share = float(ndtr(8 / np.sqrt(65)))
    assert share == pytest.approx(0.840, abs=1e-3)
    assert turned.basin.item() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 2000))


def test_a_trunk_is_the_trajectory_of_sample_and_predicts_by_its_path() -> None:
    grid = sp.schedules.edm_grid(24, 0.1)
    level = float(grid[12])
    turned = turn(FOUR, start="trunk", time=grid, levels=[level], samples=30, classifier="path")
    runs = sp.sample(sp.models.mixture(FOUR), schedule=VE, time=grid, samples=30, progress=False)
    evidence = runs.log_likelihood.squeeze("guidance").isel(time=12).drop_sel(candidate="null")
    posterior = np.exp(evidence - evidence.max("candidate"))
    posterior = posterior / posterior.sum("candidate")
    expected = float((posterior**2).sum("candidate").mean())
    assert turned.posterior_phi.item() == pytest.approx(expected, abs=1e-9)


def test_the_path_of_a_continuation_tells_its_end_as_the_exact_posterior_does() -> None:
    by_path, by_data = (turn(samples=500, steps=32, mover="null", classifier=how) for how in ("path", "posterior"))
    # the same continuations: what the path says of their end differs by its finite steps alone
    assert by_path.phi.item() == pytest.approx(by_data.phi.item(), abs=0.02)


def test_numbers_depend_neither_on_batches_nor_on_what_else_is_turned() -> None:
    whole = turn(FOUR, samples=70, levels=[1.0, 8.0], mover=("mixture", "class"), start="data")
    parts = turn(FOUR, samples=70, levels=[1.0, 8.0], mover=("mixture", "class"), start="data", batch_size=33)
    xr.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-11)
    alone = turn(FOUR, samples=70, levels=8.0, mover="class")
    np.testing.assert_allclose(alone.kernel, whole.kernel.sel(time=[8.0], mover=["class"]), atol=1e-11)
    np.testing.assert_allclose(alone.posterior_phi, whole.posterior_phi.sel(time=[8.0]), atol=1e-11)


def test_the_same_turns_on_every_schedule() -> None:
    kernels = []
    for schedule in (VE, sp.schedules.VP(), sp.schedules.FlowMatching()):
        grid = sp.schedules.edm_grid(32, 0.01, 60, schedule=schedule)
        turned = sp.u_turn(
            sp.models.mixture(FOUR), schedule=schedule, time=grid, levels=[2.0, 8.0], samples=60, start="trunk",
            steps=(8, 16), mover=("null", "mixture", "class"), progress=False,
        )  # fmt: skip
        kernels.append(turned.kernel.values)
    # the same channel on other times: no more than rounding differs
    np.testing.assert_allclose(kernels[0], kernels[1], atol=1e-7)
    np.testing.assert_allclose(kernels[0], kernels[2], atol=1e-7)


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    peaks = []
    for samples in (1000, 8000):
        tracemalloc.start()
        turn(samples=samples, mover="class", steps=2, batch_size=250, replicates=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # the numbers of the samples themselves are 8 bytes each
    assert peaks[1] < peaks[0] + 7000 * 8 * 4


def test_a_partition_of_some_labels_moves_and_counts_within_them() -> None:
    turned = turn(FOUR, samples=800, partition="0|3", mover="class", levels=[6.0])
    exact = sp.exact.u_turns(FOUR, VE, [6.0], "0|3")
    assert turned.sizes["side"] == 2
    assert abs(turned.phi - exact.phi.values) < 4 * turned.phi_standard_error


class Careless:
    """Sees on which side of 0 a number lies, and says so wrongly now and then."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def classify(self, x: torch.Tensor) -> list[str]:
        """Labels of numbers: one in ten on the left and one in four on the right is wrong."""
        right = x[:, 0].numpy() > 0
        wrong = self.rng.random(len(right)) < np.where(right, 0.25, 0.1)
        return ["right" if one else "left" for one in right ^ wrong]


def test_the_mistakes_of_a_classifier_are_taken_out() -> None:
    confusion = [[0.9, 0.1], [0.25, 0.75]]
    options = {"samples": 1500, "mover": "class", "classifier": Careless(), "confusion": confusion}
    known = turn(**options)
    exact = sp.exact.u_turns(TWO, VE, [8.0]).phi.item()
    assert abs(known.phi.item() - exact) < 4 * known.phi_standard_error.item()
    measured = turn(**options, confusion_samples=200)
    # an accuracy that is known from 200 data has a standard error of .02 to .03, that of 3000 counts is .012
    assert measured.phi_standard_error.item() > 1.5 * known.phi_standard_error.item()
    shares = turn(samples=200, mover="class", classifier=lambda x: np.eye(2)[(x[:, 0] > 0).long()], confusion=np.eye(2))
    data = turn(samples=200, mover="class")
    # sides are 16 widths apart, so a number and its posterior say the same
    assert shares.phi.item() == pytest.approx(data.phi.item(), abs=1e-6)


def test_where_all_come_back_the_interval_still_has_a_width() -> None:
    turned = turn(levels=[0.5], samples=50, mover="class")
    assert turned.phi.item() == pytest.approx(1.0)
    # Wilson's interval for 100 of 100
    assert turned.phi_lower.item() == pytest.approx(100 / (100 + 1.959964**2), abs=1e-6)
    assert turned.entropy_least.item() == 0 < turned.entropy_most.item()


def test_a_disagreement_is_not_found_where_rare_ends_were_not_seen() -> None:
    # of 200 continuations one in two runs is expected to end elsewhere, so that most runs see none
    apart = 0
    for seed in range(40):
        turned = turn(levels=[2.5], steps=2, mover="class", replicates=50, seed=seed)
        apart += int(abs(turned.disagreement.item()) > 1.96 * turned.disagreement_standard_error.item())
        assert turned.disagreement_lower.item() <= turned.disagreement.item() <= turned.disagreement_upper.item()
    # one in twenty by chance, and rare ends come in whole numbers: 9 of 40 has a probability below 1e-4
    assert apart < 9


def test_an_archive_keeps_it_and_says_what_it_holds(tmp_path) -> None:
    turned = turn(samples=20, steps=(4, 8), mover=("null", "mixture"))
    path = sp.write(turned, tmp_path / "turned.nc")
    with sp.open(path) as stored:
        assert stored.identical(turned)
    assert "interventions: U-turns of gaussian_mixture, moved by null, mixture" in sp.describe(path)


def test_grids_of_whole_times_are_walked_on_whole_times() -> None:
    schedule = sp.schedules.DDPM("linear")
    grid = schedule.grid(64)
    steps = continuation_grid(schedule, grid, float(grid[40]), 20)
    assert (steps == steps.round()).all()
    assert (np.diff(steps) > 0).all()
    assert steps[[0, -1]].tolist() == grid[[0, 40]].tolist()
    turned = sp.u_turn(
        sp.models.mixture(TWO), schedule=schedule, time=grid, levels=[8.0], samples=400, steps=(16, 32), progress=False,
    )  # fmt: skip
    level = float(np.exp(-0.5 * turned.log_snr.item()))
    exact = sp.exact.u_turns(TWO, VE, [level]).phi.item()
    assert abs(turned.phi.item() - exact) < 4 * turned.phi_standard_error.item()
