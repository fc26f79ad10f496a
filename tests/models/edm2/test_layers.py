"""Every layer keeps magnitudes, is the closed form of the paper, and agrees with a second, plain implementation."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn

from specent.models.edm2 import layers
from specent.models.edm2.layers import Block, MPConv, MPFourier, attention, mp_cat, mp_silu, mp_sum, normalize


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def magnitude(x: torch.Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def test_normalised_tensors_have_unit_magnitude_over_the_requested_axes(reference: ModuleType) -> None:
    x = 7 * torch.randn(3, 16, 5, 5, dtype=torch.float64)
    whole, channels = normalize(x), normalize(x, (1,))
    # less the 1e-4 that keeps zeros zero
    torch.testing.assert_close(whole.square().mean((1, 2, 3)).sqrt(), torch.ones(3).double(), rtol=1e-4, atol=0)
    torch.testing.assert_close(channels.square().mean(1).sqrt(), torch.ones(3, 5, 5).double(), rtol=1e-4, atol=0)
    assert not normalize(torch.zeros(2, 3)).any()
    np.testing.assert_allclose(channels, reference.normalised(x.numpy(), (1,)), rtol=1e-12)


def test_half_precision_is_normalised_in_single() -> None:
    # the squares are beyond half precision
    x = torch.full((1, 4), 3e4, dtype=torch.float16)
    output = normalize(x)
    assert output.dtype == torch.float16
    torch.testing.assert_close(output, torch.ones(1, 4, dtype=torch.float16))


def test_the_nonlinearity_leaves_a_normal_variable_at_unit_magnitude(reference: ModuleType) -> None:
    def square(x: float) -> float:
        return (x / (1 + math.exp(-x))) ** 2 * stats.norm.pdf(x)

    exact = math.sqrt(integrate.quad(square, -12, 12)[0])
    # the paper rounds the root mean square to three digits
    assert exact == pytest.approx(layers._SILU, abs=5e-4)
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    np.testing.assert_allclose(mp_silu(x), reference.silu(x.numpy()), rtol=1e-12)


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.5, 1.0])
def test_sums_and_concatenations_of_independent_tensors_keep_magnitude(reference: ModuleType, balance: float) -> None:
    a, b, c = torch.randn(4, 32, 64, 64), torch.randn(4, 32, 64, 64), torch.randn(4, 96, 64, 64)
    # half a million numbers: standard error of a magnitude 0.001
    assert magnitude(mp_sum(a, b, balance)) == pytest.approx(1, abs=0.004)
    joined = mp_cat(a, c, balance)
    assert magnitude(joined) == pytest.approx(1, abs=0.004)
    # the share of each input does not depend on its number of channels
    first, second = joined[:, :32].square().sum(), joined[:, 32:].square().sum()
    expected = balance**2 / ((1 - balance) ** 2 + balance**2)
    assert float(second / (first + second)) == pytest.approx(expected, abs=0.004)
    np.testing.assert_allclose(mp_sum(a, b, balance), reference.blend(a.numpy(), b.numpy(), balance), atol=1e-5)
    np.testing.assert_allclose(joined, reference.joined(a.numpy(), c.numpy(), balance), rtol=1e-5, atol=1e-7)


def test_fourier_features_have_unit_magnitude_and_known_frequencies() -> None:
    features = MPFourier(4096)
    x = torch.tensor([-2.0, 0.1, 3.7])
    output = features(x)
    expected = np.sqrt(2) * np.cos(np.outer(x.numpy(), features.freqs.numpy()) + features.phases.numpy())
    np.testing.assert_allclose(output, expected, atol=2e-6)
    # frequencies have standard deviation 2 pi, phases are even over the circle
    assert float(features.freqs.std()) == pytest.approx(2 * np.pi, rel=4 / np.sqrt(2 * 4096))
    assert stats.kstest(features.phases.numpy() / (2 * np.pi), "uniform").pvalue > 1e-4
    # the square of the cosine of an even phase has mean 1/2 and variance 1/8
    assert np.mean(output.numpy() ** 2, axis=1) == pytest.approx(np.ones(3), abs=4 * np.sqrt(1 / 2 / 4096))


@pytest.mark.parametrize("kernel", [0, 1, 3])
def test_a_weight_counts_by_its_direction_only(reference: ModuleType, kernel: int) -> None:
    layer = MPConv(32, 48, kernel).double()
    x = torch.randn(64, 32, dtype=torch.float64) if not kernel else torch.randn(4, 32, 16, 16, dtype=torch.float64)
    output = layer(x).detach()
    expected = reference.convolved(x.numpy(), {"a.weight": layer.weight.detach().numpy()}, "a")
    np.testing.assert_allclose(output, expected, atol=1e-12)
    with torch.no_grad():
        layer.weight *= torch.linspace(0.5, 20, 48)[(...,) + (None,) * (layer.weight.ndim - 1)]
    # but for the 1e-4 beside the root mean square
    torch.testing.assert_close(layer(x), output, rtol=3e-4, atol=1e-6)
    torch.testing.assert_close(layer(x, torch.tensor(0.5).double()), 0.5 * layer(x))
    inside = output[:, :, 1:-1, 1:-1] if kernel else output
    # every output has unit variance; of 3072 or more of them the magnitude has a standard error below 0.013
    assert magnitude(inside) == pytest.approx(1, abs=0.052)


def test_a_frozen_layer_gives_the_same_and_thaws_for_training() -> None:
    layer = MPConv(8, 8, 3).eval()
    x = torch.randn(2, 8, 4, 4)
    before = layer(x)
    layer.freeze()
    assert list(layer.state_dict()) == ["weight"]
    torch.testing.assert_close(layer(x), before, rtol=0, atol=0)
    with torch.no_grad():
        layer.weight.normal_()
    torch.testing.assert_close(layer(x), before, rtol=0, atol=0)
    assert not torch.allclose(layer.train()(x), before)
    layer.freeze()
    layer.load_state_dict({"weight": torch.randn(8, 8, 3, 3)})
    assert layer.frozen is None


def test_attention_is_the_softmax_of_scaled_cosines() -> None:
    joint = torch.randn(2, 3 * 128, 4, 4, dtype=torch.float64)
    output = attention(joint, heads=2)
    parts = joint.reshape(2, 2, 64, 3, 16)
    unit = parts / (1e-4 + parts.square().mean(2, keepdim=True).sqrt())
    query, key, value = unit.unbind(3)
    share = torch.softmax(torch.einsum("bhcq,bhck->bhqk", query, key) / 8, dim=-1)
    expected = torch.einsum("bhqk,bhck->bhcq", share, value).reshape(2, 128, 4, 4)
    torch.testing.assert_close(output, expected)


def test_resampling_halves_by_means_and_doubles_by_repeating() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    down = layers.resize(x, "down")
    assert down.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    up = layers.resize(down, "up")
    assert up[0, 0, 0].tolist() == [2.5, 2.5, 4.5, 4.5]
    torch.testing.assert_close(layers.resize(up, "down"), down)
    assert layers.resize(x, "keep") is x


@pytest.mark.parametrize("flavour", ["encoder", "decoder"])
@pytest.mark.parametrize(("inputs", "resample", "attends"), [(64, "keep", True), (32, "up", False), (32, "down", True)])
def test_a_block_is_that_of_the_plain_implementation(
    reference: ModuleType, flavour: str, inputs: int, resample: str, attends: bool
) -> None:
    block = Block(inputs, 64, 24, flavour, resample, attends).double()
    with torch.no_grad():
        block.emb_gain.fill_(0.7)
    x, e = torch.randn(2, inputs, 4, 4, dtype=torch.float64), torch.randn(2, 24, dtype=torch.float64)
    with torch.no_grad():
        output = block(x, e)
    weights = {f"{resample}.{name}": value for name, value in arrays(block).items()}
    # the plain one knows how to resample by the name
    named = {name.replace(f"{resample}.", f"b_{resample}.", 1): value for name, value in weights.items()}
    expected = reference.block(x.numpy(), e.numpy(), named, f"b_{resample}", flavour == "encoder")
    np.testing.assert_allclose(output, expected, atol=1e-10)


@pytest.mark.parametrize("flavour", ["encoder", "decoder"])
def test_blocks_keep_the_magnitude_of_what_passes_through(flavour: str) -> None:
    x, e = torch.randn(2, 64, 32, 32), mp_silu(torch.randn(2, 64))
    with torch.no_grad():
        magnitudes = [magnitude(Block(64, 64, 64, flavour)(x, e)) for _ in range(16)]
    # in expectation over the weights; zeros beyond the edge take 4 % of the power of each convolution, which has a
    # share of 16 % in the sum
    assert np.mean(magnitudes) == pytest.approx(1, abs=0.01 + 4 * np.std(magnitudes) / 4)
    assert np.std(magnitudes) < 0.05


def test_activations_are_kept_within_bounds() -> None:
    block = Block(16, 16, 8, "decoder")
    x = torch.full((1, 16, 2, 2), 1e4)
    assert float(block(x, torch.randn(1, 8)).detach().abs().max()) == 256
