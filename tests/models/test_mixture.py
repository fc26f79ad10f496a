"""The denoisers of a mixture are those of Tweedie's formula, D = x + sigma^2 grad log p(x)."""

import pytest
import torch

import specent as sp
from specent.errors import SpecentError


@pytest.fixture
def mix() -> sp.exact.GaussianMixture:
    return sp.exact.GaussianMixture(
        [[-2.0, 0.0], [1.0, 1.0], [2.0, -1.0], [0.0, 3.0]],
        variance=[0.5, 1.0, 0.2, 2.0],
        weights=[0.1, 0.4, 0.3, 0.2],
        labels=["a", "b", "a", "c"],
    )


def log_density(mix: sp.exact.GaussianMixture, keep: list[int], x: torch.Tensor, sigma: float) -> torch.Tensor:
    means, variances = torch.tensor(mix.means), torch.tensor(mix.variances)
    weights = torch.tensor(mix.weights)[keep]
    spread = torch.sqrt(variances[keep] + sigma**2)
    parts = torch.distributions.MultivariateNormal(means[keep], torch.diag_embed(spread[:, None].expand(-1, 2) ** 2))
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights / weights.sum()), parts)
    return mixture.log_prob(x)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 20.0])
def test_denoisers_follow_tweedie(mix: sp.exact.GaussianMixture, sigma: float) -> None:
    model = sp.models.mixture(mix)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, generator=generator, dtype=torch.float64) * 3
    every = model.candidates(x, sigma, torch.arange(4))
    for column, keep in enumerate([[0, 2], [1], [3], [0, 1, 2, 3]]):
        state = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(log_density(mix, keep, state, sigma).sum(), state)
        expected = x + sigma**2 * gradient
        torch.testing.assert_close(every[:, column], expected, rtol=1e-9, atol=1e-9)
        one = model.denoise(x, sigma, torch.full((6,), column))
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-9)


def test_log_density_given_the_label_is_right_up_to_a_shared_constant(mix: sp.exact.GaussianMixture) -> None:
    x = torch.linspace(-3, 3, 10, dtype=torch.float64).reshape(5, 2)
    found = sp.models.mixture(mix).log_density(x, 0.7)
    expected = torch.stack([log_density(mix, keep, x, 0.7) for keep in ([0, 2], [1], [3])], dim=1)
    difference = found - expected
    torch.testing.assert_close(difference, difference[:1, :1].expand_as(difference), rtol=0, atol=1e-10)


def test_a_mixture_too_large_to_sample_is_refused_with_the_mend() -> None:
    huge = sp.exact.GaussianMixture([[-1.0], [1.0]], dimension=2**40)
    with pytest.raises(SpecentError, match=r"exact\.profiles"):
        sp.models.mixture(huge)


def test_what_is_no_mixture_is_refused() -> None:
    with pytest.raises(SpecentError, match=r"source='mix' is a str; pass a specent\.exact\.Gauss"):
        sp.models.mixture("mix")
