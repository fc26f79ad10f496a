"""Pictures of what a network has learnt so far: ancestral samples (arXiv 2006.11239) on every twentieth time.

The transitions are those of a stride over the trained times with eta = 1 (arXiv 2010.02502). Predictions of the data
are cut off at -1 and 1, which is for the eye only: measurements use `specent.sample`, which cuts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent.models import ddpm_network
from specent.schedules import DDPM

_STRIDE = 20


@torch.no_grad()
def draw_pictures(
    net: Any, conditions: Sequence[int] | None, count: int, shape: Sequence[int], seed: int, device: torch.device
) -> NDArray[np.float32]:
    """Draw pictures from a network that predicts the noise.

    Parameters
    ----------
    net : UNet2DModel
        In evaluation mode.
    conditions : sequence of int or None
        The conditions, `count` pictures each; None for a network without labels.
    count : int
        Pictures per condition. All conditions share their noise.
    shape : sequence of int
        Channels, height and width.
    seed : int
        Seed of the noise.
    device : device
        Where the network is.

    Returns
    -------
    ndarray, shape (conditions * count, channels, height, width)
        From 0 (black) to 1 (white).
    """
    rows = 1 if conditions is None else len(conditions)
    labels = None if conditions is None else torch.tensor(conditions).repeat_interleave(count).to(device)
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        standard = torch.randn((count, *shape), generator=generator)
        return standard.repeat(rows, 1, 1, 1).to(device)

    schedule = DDPM("linear", ddpm_network.TIMES)
    times = np.arange(_STRIDE - 1, ddpm_network.TIMES, _STRIDE)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    x = noise()
    for i in reversed(range(len(times))):
        known = torch.full((len(x),), int(times[i]), device=device)
        data = ((x - float(sigma[i]) * net(x, known, labels).sample) / float(alpha[i])).clamp(-1, 1)
        if i == 0:
            x = data
            break
        # the Gaussian of x at the earlier time, given x now and the data
        shrink = (alpha[i] / alpha[i - 1]) * (sigma[i - 1] / sigma[i]) ** 2
        pull = alpha[i - 1] * (1 - ((alpha[i] * sigma[i - 1]) / (alpha[i - 1] * sigma[i])) ** 2)
        spread = sigma[i - 1] * np.sqrt(1 - ((alpha[i] * sigma[i - 1]) / (alpha[i - 1] * sigma[i])) ** 2)
        x = float(shrink) * x + float(pull) * data + float(spread) * noise()
    return (0.5 * (x + 1)).clamp(0, 1).float().cpu().numpy()
