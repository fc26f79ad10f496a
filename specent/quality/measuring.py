"""The quality of the final samples of a set of trajectories, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm.auto import tqdm

from specent import arguments, schema
from specent.arguments import brief
from specent.errors import SpecentError
from specent.files import sha256
from specent.models.outputs import reason
from specent.quality.estimates import GROUPS, Estimate, accuracy, difference, features
from specent.quality.frechet import frechet_distance, frechet_limit
from specent.quality.manifolds import precision_recall
from specent.schema import NULL

_LEAST = 4 * GROUPS


def measure(
    runs: xr.Dataset,
    real: ArrayLike,
    extractor: Callable[[Tensor], Any],
    *,
    decode: Callable[[Tensor], Tensor] | None = None,
    neighbours: int = 3,
    reference: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 256,
    progress: bool = True,
) -> xr.Dataset:
    """Frechet distance, precision, recall and accuracy of the final samples of every guidance setting.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``; at least 96 trajectories in all. Those that the null condition drove are left out unless
        it drove all. Classes should be sampled in proportion to the real data.
    real : array_like, shape ``(images, *shape)``
        Real data in the coordinates of the samples. They stand for the distribution to compare with.
    extractor : callable
        ``extractor(pictures) -> features``: shape (batch, features), for pictures (batch, 1 or 3, height, width) from 0
        to 1, such as `digits_classifier` or `dinov2`. If it has ``classify(pictures) -> labels``, accuracy is the share
        of samples with the label of their driver. An attribute ``identity`` is recorded.
    decode : callable, optional
        From samples to what `extractor` takes, for latents the ``decode`` of the model. By default pixels are taken to
        run from -1 to 1; samples that are plain vectors are passed on as they are.
    neighbours : int
        As for `precision_recall`.
    reference : str, optional
        Name of the guidance setting that differences are taken to; the unguided one, if there is one, by default. All
        settings share their noise, so the interval of a difference is narrower than those of its parts.
    confidence : float
        Nominal coverage of the intervals.
    seed : int
        Of the groups of the jackknife, which are spread evenly over the classes.
    batch_size : int
        Samples at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset
        Kind ``quality`` over (guidance): ``frechet_distance``, ``frechet_limit``, ``precision``, ``recall``, and
        ``accuracy`` if the extractor classifies, each with bounds; and ``..._difference`` of each to the reference.

    Raises
    ------
    SpecentError
        If an argument cannot be used, the extractor raises or returns no features, or a feature is not finite.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16),
    ...                  samples=50, progress=False)
    >>> real = np.concatenate([np.random.default_rng(0).normal(mean, 1.0, (500, 1)) for mean in (-4, 4)])
    >>> quality = measure(runs, real, lambda x: x, progress=False)
    >>> bool(quality.precision[0] > 0.8)
    True
    """
    runs = schema.need(runs, "trajectories", "runs", ["final"])
    count = arguments.whole(neighbours, "neighbours", least=1)
    size, seed = arguments.whole(batch_size, "batch_size", least=1), arguments.whole(seed, "seed", most=2**256 - 1)
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    if not callable(extractor):
        raise SpecentError(f"extractor={brief(extractor)} cannot be called; pass a function of pictures")
    base = _reference_index(runs, reference)
    final = _final(runs)
    data = _real(real, final.shape[3:])
    drivers = [str(label) for label in final["class_label"].values]
    total = len(drivers) * final.sizes["sample"]
    read = _Reader(extractor, decode or (_unit_range if data.ndim == 4 else _unchanged), size)
    known = features(read(data, "real"), "features of real", 3)
    labels = np.repeat(drivers, final.sizes["sample"])
    groups = _spread(len(drivers), final.sizes["sample"], seed)
    rows = []
    for setting in tqdm(final["guidance"].values, desc="quality", unit="setting", disable=not progress, mininterval=1):
        fake = final.sel(guidance=setting).values.reshape(total, *data.shape[1:])
        generated = features(read(fake, f"guidance {setting}"), f"features of guidance {setting}", _LEAST)
        row = _numbers(known, generated, count, confidence=confidence, groups=groups, seed=seed)
        if read.classifies and drivers != [NULL]:
            row["accuracy"] = accuracy(read.labels(fake), labels, confidence=confidence, groups=groups)
        rows.append(row)
    if base is not None:
        rows = [row | _less(row, rows[base], total, confidence) for row in rows]
    identity = getattr(extractor, "identity", {"name": getattr(extractor, "__name__", type(extractor).__name__)})
    settings = {
        "function": "measure", "neighbours": count, "confidence": confidence, "seed": seed, "samples": total,
        "classes": drivers, "reference": None if base is None else str(runs["guidance"].values[base]),
        "runs": json.loads(runs.attrs["settings"]),
    }  # fmt: skip
    return _dataset(rows, runs, data, identity, settings)


def _final(runs: xr.Dataset) -> xr.DataArray:
    """The final samples of all drivers but the null condition."""
    labels = [str(label) for label in runs["class_label"].values]
    final = runs["final"].sel(class_label=[label for label in labels if label != NULL] or labels).compute()
    total = final.sizes["class_label"] * final.sizes["sample"]
    if total < _LEAST:
        raise SpecentError(f"runs holds {total} trajectories a setting; at least {_LEAST} are needed for its quality")
    return final


def _real(real: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Real data of the shape of the samples."""
    data = arguments.array(real, "real")
    if data.shape[1:] != shape or len(data) < 3:
        raise SpecentError(f"real has shape {data.shape}; at least 3 samples of shape {shape} are needed, as in runs")
    return data


def _numbers(known: NDArray[Any], generated: NDArray[Any], neighbours: int, **options: Any) -> dict[str, Estimate]:
    """The measures that need the features alone."""
    precision, recall = precision_recall(known, generated, neighbours, **options)
    return {
        "frechet_distance": frechet_distance(known, generated, **options),
        "frechet_limit": frechet_limit(known, generated, **options),
        "precision": precision,
        "recall": recall,
    }


def _reference_index(runs: xr.Dataset, reference: str | None) -> int | None:
    """Index of the setting that differences are taken to."""
    names = [str(name) for name in runs["guidance"].values]
    if reference is None:
        unguided = np.flatnonzero(runs["guidance_scale"].values == 1.0)
        return int(unguided[0]) if len(unguided) else None
    if reference not in names:
        raise SpecentError(f"reference={brief(reference)} is not among the guidance settings {brief(names)}")
    return names.index(reference)


def _less(row: dict[str, Estimate], base: dict[str, Estimate], count: int, confidence: float) -> dict[str, Estimate]:
    """Differences of a setting to the reference; a share is known to one sample at best."""
    return {
        f"{name}_difference": difference(
            row[name], base[name], confidence=confidence,
            least=0.0 if row is base or name.startswith("frechet") else 1 / count,
        )
        for name in row
    }  # fmt: skip


class _Reader:
    """Features and labels of samples, batch by batch."""

    def __init__(self, extractor: Any, decode: Callable[[Tensor], Tensor], size: int) -> None:
        self._extractor, self._decode, self._size = extractor, decode, size
        self.classifies = callable(getattr(extractor, "classify", None))

    def __call__(self, samples: NDArray[Any], what: str) -> NDArray[np.float64]:
        parts = [arguments.array(part, f"features of {what}") for part in self._each(self._extractor, samples, what)]
        if len({part.shape[1:] for part in parts}) > 1 or any(part.ndim != 2 for part in parts):
            raise SpecentError(f"extractor returned shape {parts[0].shape} for {what}; return (batch, features)")
        return np.concatenate(parts)

    def labels(self, samples: NDArray[Any]) -> list[str]:
        """The labels that the extractor gives to the samples."""
        return [str(label) for part in self._each(self._extractor.classify, samples, "labels") for label in part]

    def _each(self, function: Callable[[Tensor], Any], samples: NDArray[Any], what: str) -> list[Any]:
        results = []
        for low in range(0, len(samples), self._size):
            some = torch.as_tensor(samples[low : low + self._size], dtype=torch.float32)
            try:
                with torch.inference_mode():
                    part = function(self._decode(some))
                length = len(part)
            except SpecentError:
                raise
            except Exception as error:
                raise SpecentError(f"extractor or decode raised {reason(error)} on {what}") from error
            if length != len(some):
                raise SpecentError(f"extractor returned {length} rows for {len(some)} samples of {what}")
            results.append(part)
        return results


def _unit_range(samples: Tensor) -> Tensor:
    return (0.5 * (samples + 1)).clamp(0, 1)


def _unchanged(samples: Tensor) -> Tensor:
    return samples


def _spread(classes: int, samples: int, seed: int) -> NDArray[np.intp]:
    """Groups of the jackknife, as even over the classes as can be, shape (classes * samples,)."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([c * samples + rng.permutation(samples) for c in range(classes)])
    group = np.empty(len(order), dtype=np.intp)
    group[order] = np.arange(len(order)) % GROUPS
    return group


def _dataset(
    rows: list[dict[str, Estimate]],
    runs: xr.Dataset,
    real: NDArray[np.float64],
    identity: Any,
    settings: dict[str, Any],
) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name in rows[0]:
        for suffix, part in (("", "value"), ("_lower", "lower"), ("_upper", "upper")):
            variables[name + suffix] = ("guidance", [getattr(row[name], part) for row in rows])
    coordinates = runs[["guidance", "guidance_scale", "sigma_lo", "sigma_hi"]].coords
    try:
        described = json.dumps(identity, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise SpecentError(f"extractor.identity={brief(identity)} cannot be written as JSON") from error
    digest = sha256(np.ascontiguousarray(real).tobytes())
    return schema.finish(
        xr.Dataset(variables, coordinates),
        "quality",
        title=f"Quality of {settings['samples']} samples a setting against {len(real)} real ones",
        settings=settings,
        parents=[runs],
        features=described,
        real=json.dumps({"count": len(real), "shape": list(real.shape[1:]), "sha256": digest}),
        model=runs.attrs["model"],
        guidance_formula=runs.attrs["guidance_formula"],
        confidence=settings["confidence"],
    )
