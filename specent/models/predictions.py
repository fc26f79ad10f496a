r"""What networks predict, converted to the denoised data and back.

With the state :math:`x = \alpha x_0 + \sigma\varepsilon`, each of these determines :math:`x_0`: the noise
:math:`\varepsilon` (arXiv 2006.11239), :math:`v = \alpha\varepsilon - \sigma x_0` (arXiv 2202.00512), the score
:math:`-\varepsilon/\sigma` (arXiv 2011.13456) and the velocity :math:`u = \varepsilon - x_0` (arXiv 2210.02747). The
relations are linear, so they hold for the conditional expectations that networks learn. The last one needs no linear
interpolant: :math:`x - \sigma u = (\alpha + \sigma)\, x_0` on any schedule.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from specent.arguments import brief
from specent.errors import ModelError

Prediction = Literal["data", "noise", "v", "score", "velocity"]
PREDICTIONS: tuple[Prediction, ...] = get_args(Prediction)

ALIASES: dict[str, Prediction] = {
    "sample": "data", "epsilon": "noise", "v_prediction": "v", "flow_prediction": "velocity",
}  # fmt: skip
"""The names of diffusers for the same."""


def check_prediction(prediction: object, argument: str = "prediction") -> Prediction:
    """The name of a prediction type, of which those of diffusers are other names.

    Raises
    ------
    ModelError
        If it is none of them.

    Examples
    --------
    >>> check_prediction("epsilon")
    'noise'
    """
    name = ALIASES.get(prediction, prediction) if isinstance(prediction, str) else None
    if name not in PREDICTIONS:
        raise ModelError(
            f"{argument}={brief(prediction)} must be 'data', 'noise', 'v', 'score' or 'velocity', or "
            f"{', '.join(map(repr, ALIASES))} as diffusers calls them"
        )
    return name


def to_data(prediction: str, output: Tensor, state: Tensor, alpha: float, sigma: float) -> Tensor:
    """The denoised data that an output stands for.

    Parameters
    ----------
    prediction : {"data", "noise", "v", "score", "velocity"}
        What the output is; the names of diffusers serve too.
    output : Tensor, shape (batch, ...)
        What the network returned for the state.
    state : Tensor, shape (batch, ...)
        The state ``alpha * data + sigma * noise`` that it was handed.
    alpha, sigma : float
        Scale of the signal and standard deviation of the noise, both positive.

    Returns
    -------
    Tensor, shape (batch, ...)
        In the wider of the two types.

    Raises
    ------
    ModelError
        If the prediction type is not known.

    References
    ----------
    arXiv 2006.11239, 2202.00512, 2011.13456, 2210.02747.

    Examples
    --------
    >>> data, noise = torch.tensor([2.0]), torch.tensor([-1.0])
    >>> to_data("velocity", noise - data, 0.5 * data + 0.25 * noise, 0.5, 0.25).item()
    2.0
    """
    kind = check_prediction(prediction)
    # a product in half precision would be rounded before it is subtracted
    output = output.to(torch.promote_types(output.dtype, state.dtype))
    if kind == "data":
        return output
    if kind == "noise":
        return (state - sigma * output) / alpha
    if kind == "v":
        return (alpha * state - sigma * output) / (alpha**2 + sigma**2)
    if kind == "score":
        return (state + sigma**2 * output) / alpha
    return (state - sigma * output) / (alpha + sigma)


def from_data(prediction: str, data: Tensor, state: Tensor, alpha: float, sigma: float) -> Tensor:
    """What a network of that prediction type returns if it denoises the state to `data`: the inverse of `to_data`.

    Parameters
    ----------
    prediction : {"data", "noise", "v", "score", "velocity"}
        What the network returns.
    data : Tensor, shape (batch, ...)
        The denoised data.
    state : Tensor, shape (batch, ...)
        The state ``alpha * data + sigma * noise``.
    alpha, sigma : float
        Scale of the signal and standard deviation of the noise, both positive.

    Returns
    -------
    Tensor, shape (batch, ...)

    Raises
    ------
    ModelError
        If the prediction type is not known.

    Examples
    --------
    >>> data, noise = torch.tensor([2.0]), torch.tensor([-1.0])
    >>> from_data("noise", data, 0.5 * data + 0.25 * noise, 0.5, 0.25).item()
    -1.0
    """
    kind = check_prediction(prediction)
    if kind == "data":
        return data
    noise = (state - alpha * data) / sigma
    if kind == "noise":
        return noise
    if kind == "v":
        return alpha * noise - sigma * data
    return -noise / sigma if kind == "score" else noise - data
