"""Exact U-turns: phi in closed form, kernels whose eigenvalues multiply, and the bracket around the entropy."""

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError

VE = sp.schedules.VE()


@pytest.mark.parametrize(
    ("ratio", "phi"), [(0.25, 0.529473), (0.5, 0.602027), (1, 0.775200), (2, 0.965701), (3, 0.997924)]
)
@pytest.mark.parametrize("dimension", [1, 256])
def test_phi_of_two_sides_is_that_of_the_table(ratio: float, phi: float, dimension: int) -> None:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], dimension=dimension)
    sigma = np.sqrt((8 / ratio) ** 2 - 1)
    turned = sp.exact.u_turns(mix, VE, [sigma])
    # the table has six digits
    assert turned.phi.item() == pytest.approx(phi, abs=1e-6)
    assert turned.eigenvalue.squeeze().values == pytest.approx([1, 2 * turned.phi.item() - 1], abs=1e-9)
    entropy = sp.exact.two_component_entropy(ratio)
    assert turned.entropy_least.item() <= entropy <= turned.entropy_most.item()


@pytest.mark.parametrize(("ratio", "phi"), [(0.493993, 0.6), (0.922412, 0.75), (1.492610, 0.9)])
def test_the_ratios_at_which_phi_has_round_values(ratio: float, phi: float) -> None:
    # phi rises by less than 0.45 per unit of the ratio, which has six digits
    assert sp.exact.cloning_probability(ratio).item() == pytest.approx(phi, abs=1e-6)


def test_eigenvalues_of_independent_attributes_multiply() -> None:
    means = [[a, b] for a in (-8.0, 8.0) for b in (-2.0, 2.0)]
    turned = sp.exact.u_turns(sp.exact.GaussianMixture(means), VE, [8.0], samples=2**14)
    first, second = (
        sp.exact.u_turns(sp.exact.GaussianMixture([[-m], [m]]), VE, [8.0]).eigenvalue.values[0, 0, 1]
        for m in (8.0, 2.0)
    )
    values = turned.eigenvalue.squeeze().values
    # quasi-random points of 2^14 a component are within 1e-5 of a smooth integral in two dimensions
    assert values == pytest.approx([1, first, second, first * second], abs=1e-5)
    assert values == pytest.approx([1, 0.54550, 0.05809, 0.03169], abs=3e-5)


def test_a_line_of_four_has_the_phi_of_an_independent_sum() -> None:
    mix = sp.exact.GaussianMixture([[-8.0], [-4.0], [6.0], [8.0]], variance=0.25)
    turned = sp.exact.u_turns(mix, VE, [1.0, 3.0])
    x = np.linspace(-40, 40, 40001)[:, None]
    for i, sigma in enumerate((1.0, 3.0)):
        posterior = mix.posterior(x, 1.0, sigma, sp.Partition.full(mix.labels))
        density = np.exp(mix.log_density(x, 1.0, sigma)).mean(axis=1)
        expected = np.sum(density[:, None] * (posterior**2)) * (x[1, 0] - x[0, 0])
        assert turned.phi.values[0, i] == pytest.approx(expected, abs=1e-9)
    assert turned.phi.values[0, 1] == pytest.approx(0.570621, abs=1e-6)


def test_kernels_are_stochastic_reversible_and_within_their_bounds() -> None:
    rng = np.random.default_rng(0)
    mix = sp.exact.GaussianMixture(rng.normal(size=(4, 3)), [0.5, 0.7, 1.0, 0.5], [0.1, 0.2, 0.3, 0.4])
    turned, finer = (sp.exact.u_turns(mix, VE, [0.3, 1.0], samples=count, seed=1) for count in (2**12, 2**15))
    kernel, prior = finer.kernel.squeeze().values, finer.side_prior.values
    np.testing.assert_allclose(kernel.sum(axis=-1), 1, atol=1e-12)
    flow = prior[:, None] * kernel
    # detailed balance, to what 2^15 points know
    np.testing.assert_allclose(flow, np.swapaxes(flow, -1, -2), atol=1e-4)
    assert finer.eigenvalue.min() > 0
    # t with three degrees of freedom has 1.2 % beyond 4.9 standard errors; the finer value is nearly exact
    assert (abs(turned.phi - finer.phi) <= 5 * turned.phi_standard_error + 1e-12).all()


def test_the_sides_of_groups_are_those_of_the_components_together() -> None:
    mix = sp.exact.GaussianMixture([[-9.0], [-7.0], [8.0]], weights=[0.25, 0.25, 0.5], labels=["a", "b", "c"])
    merged = sp.exact.GaussianMixture([[-9.0], [-7.0], [8.0]], weights=[0.25, 0.25, 0.5], labels=["l", "l", "r"])
    grouped = sp.exact.u_turns(mix, VE, [8.0], "a,b|c")
    np.testing.assert_allclose(grouped.kernel, sp.exact.u_turns(merged, VE, [8.0]).kernel, atol=1e-10)


def test_the_bracket_is_tight_where_posteriors_are_all_alike() -> None:
    # a posterior of two equal sides always: H = 1 = -log2(1/2), and Fano's bound at even odds
    for bound in sp.exact.entropy_bracket(0.5, 2):
        assert bound.item() == pytest.approx(1.0)
    least, most = sp.exact.entropy_bracket([1.0, 0.0], 4)
    assert least.tolist() == [0.0, 2.0]
    assert most.tolist() == pytest.approx([0.0, 2.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mix": [[1.0]]}, "GaussianMixture"),
        ({"time": [-1.0]}, "time"),
        ({"time": [np.inf]}, "time"),
        ({"time": [3.0, 2.0]}, "time"),
        ({"partition": ["full", "a|b"]}, "partition"),
        ({"partition": "a|null"}, "null"),
        ({"partition": "a|c"}, "c"),
        ({"samples": 1}, "samples"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_bad_input_is_refused(change: dict, message: str) -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    arguments = {"mix": mix, "schedule": VE, "time": [1.0], **change}
    with pytest.raises(SpecentError, match=message):
        sp.exact.u_turns(**arguments)


@pytest.mark.parametrize(
    ("kernel", "prior", "message"),
    [
        ("ab", [0.5, 0.5], "kernel"),
        (np.eye(2), None, "prior"),
        (np.eye(2), [0.0, 1.0], "prior"),
        (np.eye(2), [-0.5, 1.5], "prior"),
        (np.eye(2), [0.5, np.nan], "prior"),
        (np.eye(2), [1.0], "two sides"),
        (np.eye(2), [0.5, 0.6], "sums to 1.1"),
        (np.eye(3), [0.5, 0.5], "2 rows"),
        (1.0, [0.5, 0.5], "shape"),
        ([0.8, 0.2], [0.5, 0.5], "shape"),
        ([[0.8, 0.3], [0.2, 0.8]], [0.5, 0.5], "row that sums to 1.1"),
        ([[np.nan, 0.2], [0.2, 0.8]], [0.5, 0.5], "not finite"),
        ([[np.inf, -np.inf], [0.2, 0.8]], [0.5, 0.5], "not finite"),
    ],
)
def test_a_spectrum_is_that_of_a_transition_kernel(kernel, prior, message) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.exact.spectrum(kernel, prior)


@pytest.mark.parametrize("phi", [np.nan, np.inf, [0.5, np.nan], 75.0, -np.inf, "0.5", None])
def test_a_bracket_is_that_of_a_probability(phi) -> None:
    with pytest.raises(SpecentError, match="phi"):
        sp.exact.entropy_bracket(phi, 2)


def test_a_dataset_of_sides_that_are_not_the_partitions_is_refused(tmp_path) -> None:
    turned = sp.exact.u_turns(sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"]), VE, [1.0, 2.0])
    with sp.open(sp.write(turned, tmp_path / "turned.nc")) as stored:
        assert stored.identical(turned)
    renamed = turned.assign_coords(end_side=turned.end_side.copy(data=["a", "x"]))
    with pytest.raises(SpecentError, match="no side of the partition"):
        sp.write(renamed, tmp_path / "other.nc")
    heavy = turned.assign_coords(side_prior=turned.side_prior.copy(data=[0.9, 0.9]))
    with pytest.raises(SpecentError, match="side_prior"):
        sp.write(heavy, tmp_path / "other.nc")


def test_a_measured_kernel_keeps_the_eigenvalue_one_and_its_symmetric_part_elsewhere() -> None:
    rng = np.random.default_rng(4)
    prior = rng.dirichlet(np.full(6, 5.0))
    # few counts: the symmetric part alone has a largest eigenvalue above 1
    kernel = np.stack([rng.multinomial(8, row) / 8 for row in 0.5 * np.eye(6) + 0.5 * prior])
    plain = np.sqrt(prior)[:, None] * kernel / np.sqrt(prior)
    assert np.linalg.eigvalsh(0.5 * (plain + plain.T))[-1] > 1.005
    form = sp.exact.cloning.symmetric_form(kernel, prior)
    assert np.allclose(form @ np.sqrt(prior), np.sqrt(prior), atol=1e-12)
    values = sp.exact.spectrum(kernel, prior)
    assert values[0] == pytest.approx(1.0, abs=1e-12)
    # the trace, phi for equal sides, changes by what the first eigenvalue was off in the mean
    away = np.eye(6) - np.outer(np.sqrt(prior), np.sqrt(prior))
    others = np.linalg.eigvalsh(away @ (0.5 * (plain + plain.T)) @ away)
    assert np.allclose(np.sort(values[1:]), np.sort(np.delete(others, np.argmin(abs(others)))), atol=1e-12)
