r"""How far denoised data are from the data, at every noise level, measured.

With :math:`x_\sigma = x_0 + \sigma\varepsilon` the error :math:`\epsilon(\sigma) = E|x_0 - D(x_\sigma)|^2` of the best
denoiser is twice the rate at which information about the data is gained per unit of :math:`\gamma = 1/\sigma^2`
(arXiv math/0412108); that of a network is larger. Grids of noise levels are made of it (arXiv 2504.13612).

Every datum keeps its noise at all levels. Errors at neighbouring levels then share most of their sampling error, and
the shape of the curve, which is what a grid needs, is known better than its height.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from torch import Tensor
from tqdm.auto import tqdm

from specent import arguments
from specent.diagnostics.labelled_data import labelled_examples
from specent.errors import ModelError, SpecentError
from specent.exact.denoising import error_dataset
from specent.models.base import Model, resolve_device
from specent.models.exact_model import ExactModel
from specent.models.finite import FiniteModel
from specent.models.mixture import MixtureModel
from specent.models.outputs import checked
from specent.models.protocol import Denoiser, as_model
from specent.sampling.preparation import check_model, model_on
from specent.schedules import VE, Schedule, check_grid

Array = NDArray[np.float64]

# of a generator of its own for data that are drawn, and another for noise
_STREAMS = 1_000_003


def denoising_error(
    model: Model | Denoiser,
    time: ArrayLike,
    images: ArrayLike | None = None,
    labels: Any = None,
    *,
    schedule: Schedule | None = None,
    conditional: bool = False,
    samples: int = 1024,
    batch_size: int = 256,
    confidence: float = 0.95,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> xr.Dataset:
    r"""Mean squared error of a model's denoised data, for `specent.grids`.

    For a Gaussian mixture `specent.exact.denoising_error` has the same without sampling error.

    Parameters
    ----------
    model : Model or Denoiser
        The model, see `specent.models`.
    time : array_like, shape (time,)
        Ascending times.
    images : array_like, shape (n, \*shape), optional
        Data of the kind that the model was trained on, in its units. A model that is the distribution of its data, as
        `specent.models.finite`, draws its own.
    labels : array_like, shape (n,), optional
        Label of each image: by its name, or as index 0 .. K-1.
    schedule : Schedule, optional
        The schedule of `time`; `VE` by default, where time is sigma.
    conditional : bool
        Whether the model denoises under the label of each datum; under the null condition otherwise.
    samples : int
        How many data are noised, at every noise level; of `images` at most all.
    batch_size : int
        How many of them at a time.
    confidence : float
        Nominal coverage of the intervals, of a normal law.
    seed : int
        Of data and noise.
    device : str
        ``"cpu"`` or ``"cuda"``.
    progress : bool
        Whether to show a progress bar, over states that are denoised.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``denoising_error`` (time), the sum over the features, in squared units of the
        data, with ``_lower`` and ``_upper``. The attribute ``denoiser`` says whether it is that of finite data, of a
        Gaussian mixture or of a network.

    Raises
    ------
    SpecentError
        If an argument cannot be used, or the model returns what is not finite.

    Examples
    --------
    >>> import specent as sp
    >>> model = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    >>> error = denoising_error(model, [0.01, 100.0], progress=False)
    >>> error.denoising_error.values.round(2).tolist()
    [0.0, 1.0]
    >>> sp.grids.entropic(denoising_error(model, sp.schedules.edm_grid(40), progress=False), 3).shape
    (3,)
    """
    model = as_model(model)
    check_model(model)
    conditional, progress = arguments.flag(conditional, "conditional"), arguments.flag(progress, "progress")
    samples = arguments.whole(samples, "samples", least=2)
    batch_size = arguments.whole(batch_size, "batch_size", least=1)
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    seed = arguments.whole(seed, "seed", least=0)
    schedule = VE() if schedule is None else schedule
    grid = check_grid(schedule, time)
    levels = np.exp(-0.5 * schedule.log_snr(grid))
    model.check_levels(levels)
    if not (conditional or model.null):
        raise SpecentError("model has no null condition; use conditional=True, or a model with one")
    on_device = resolve_device(device)
    model = model_on(model, on_device)
    data, classes = _data(model, images, labels, samples, seed, on_device)
    condition = classes if conditional else torch.full_like(classes, len(model.labels))
    count, total, squares = len(data), np.zeros(len(levels)), np.zeros(len(levels))
    # drawn at once, for draws depend on how many are drawn together
    generator = torch.Generator().manual_seed(_STREAMS * seed + 1)
    noise = torch.randn(data.shape, generator=generator, dtype=torch.float64).to(data.device)
    with tqdm(total=count * len(levels), desc="denoising", unit=" states", disable=not progress, delay=1) as bar:
        for rows in _batches(count, batch_size):
            errors = _errors(model, data[rows], noise[rows], levels, condition[rows], bar)
            total += errors.sum(axis=1)
            squares += (errors**2).sum(axis=1)
    mean = total / count
    error = np.sqrt(np.maximum(squares / count - mean**2, 0.0) / (count - 1))
    reach = float(ndtri(0.5 + confidence / 2)) * error
    whose = {FiniteModel: "finite data", MixtureModel: "Gaussian mixture"}.get(type(model), "network")
    bounds = (mean, np.maximum(mean - reach, 0.0), mean + reach)
    return error_dataset(schedule, grid, bounds, str(model.identity["name"]), whose)


def _data(
    model: Model, images: ArrayLike | None, labels: Any, samples: int, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Data in double precision with the index of the label of each."""
    if images is not None:
        if labels is None:
            raise SpecentError("labels is missing; give the label of each image")
        examples = labelled_examples(model, images, labels, samples, seed, device)
        return examples.images, examples.classes
    if not isinstance(model, ExactModel):
        raise SpecentError("images is missing; a network needs images and labels of the kind that it was trained on")
    generator = torch.Generator().manual_seed(_STREAMS * seed)
    prior = torch.as_tensor(model.label_prior)
    classes = torch.multinomial(prior, samples, replacement=True, generator=generator)
    drawn = model.draw_data(classes, generator).double()
    return drawn.reshape(samples, *model.shape).to(device), classes.to(device)


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _errors(model: Model, data: Tensor, noise: Tensor, levels: Array, condition: Tensor, bar: tqdm[Any]) -> Array:
    """Squared errors of denoised data, shape (levels, batch)."""
    rows = []
    for level in levels.tolist():
        with torch.no_grad():
            output = model.denoise(data + level * noise, level, condition)
        denoised = checked(output, tuple(data.shape), data.device, f"{type(model).__name__}.denoise")
        rows.append(((denoised.double() - data) ** 2).reshape(len(data), -1).sum(1).cpu().numpy())
        if not np.isfinite(rows[-1]).all():
            raise ModelError(f"the model returns what is not finite at noise level {level:.4g}; leave this level out")
        bar.update(len(data))
    return np.asarray(np.stack(rows))
