"""Conversions of predictions: against the definitions, there and back, and under the names of diffusers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specent.errors import ModelError
from specent.models.predictions import ALIASES, PREDICTIONS, check_prediction, from_data, to_data

SCALES = st.floats(1e-3, 1e2)


@given(alpha=SCALES, sigma=SCALES, seed=st.integers(0, 99))
def test_the_definition_of_each_prediction_gives_the_data_back(alpha: float, sigma: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    data, noise = torch.randn(2, 7, dtype=torch.float64, generator=generator)
    state = alpha * data + sigma * noise
    # written down from the papers, with the noise that was added
    predicted = {
        "data": data, "noise": noise, "v": alpha * noise - sigma * data, "score": -noise / sigma,
        "velocity": noise - data,
    }  # fmt: skip
    # rounding grows with the larger of the two terms over the smaller
    slack = 1e-13 * (1 + sigma / alpha) * (1 + alpha / sigma)
    for name in PREDICTIONS:
        torch.testing.assert_close(to_data(name, predicted[name], state, alpha, sigma), data, rtol=0, atol=slack)
        made = from_data(name, data, state, alpha, sigma)
        torch.testing.assert_close(made, predicted[name], rtol=1e-12, atol=slack * (1 + 1 / sigma))


def test_the_names_of_diffusers_are_understood() -> None:
    assert [check_prediction(name) for name in ("epsilon", "sample", "v_prediction", "flow_prediction")] == [
        "noise", "data", "v", "velocity",
    ]  # fmt: skip
    state, output = torch.ones(3), torch.arange(3.0)
    for name, plain in ALIASES.items():
        assert to_data(name, output, state, 0.8, 0.6).equal(to_data(plain, output, state, 0.8, 0.6))


@pytest.mark.parametrize("name", ["eps", None, ["noise"], 3])
def test_an_unknown_name_is_told_the_known_ones(name: object) -> None:
    with pytest.raises(ModelError, match=r"prediction=.* 'velocity', or .*'epsilon'"):
        check_prediction(name)


def test_an_output_in_half_precision_is_widened_before_it_is_subtracted() -> None:
    state = torch.tensor([1.0009765625])
    output = torch.tensor([1.0], dtype=torch.bfloat16)
    # 0.3 itself is rounded in bfloat16 to 0.30078
    assert to_data("noise", output, state, 1.0, 0.3).item() == pytest.approx(0.7009765625, abs=1e-7)
    assert to_data("data", output, state, 1.0, 0.3).dtype == torch.float32
