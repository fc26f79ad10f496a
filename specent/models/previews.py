"""Predictions of the data as pictures, stored in an archive beside the predictions themselves.

A model of latents decodes them through its autoencoder, so whoever opens the archive sees pictures without the model.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dask.array as da
import dask.base
import numpy as np
import torch
import xarray as xr
from tqdm.auto import tqdm

from specent import arguments, schema
from specent.arguments import brief
from specent.errors import ModelError, SpecentError
from specent.models.base import Model, resolve_device
from specent.models.outputs import reason

_RUN = ("guidance", "class_label", "sample", "prediction_time")
_PICTURE = ("preview_channel", "preview_y", "preview_x")
_DATA = ("channel", "y", "x")
_BLOCK_BYTES = 32 << 20
_map_blocks: Callable[..., Any] = da.map_blocks


def previews(
    model: Model, runs: xr.Dataset, *, batch_size: int = 8, device: str = "cpu", progress: bool = True
) -> xr.Dataset:
    """Decode the predictions of a run into pictures.

    Of a run that is in Dask arrays, a run folder for example, pictures are decoded block by block when they are used or
    written, and are never in memory as a whole.

    Parameters
    ----------
    model : Model
        The model of the run; its `decode` makes the pictures.
    runs : Dataset
        Of kind ``trajectories``, with ``prediction`` over (channel, y, x).
    batch_size : int
        Predictions decoded at a time.
    device : {"cpu", "cuda"}
        Where they are decoded.
    progress : bool
        Whether to show a progress bar; there is none for what is decoded later.

    Returns
    -------
    Dataset
        `runs` with ``preview``, 0 black to 255 white; one that is there is replaced.

    Raises
    ------
    SpecentError
        If there are no predictions of pictures, they are not of this model, or the model cannot decode them.

    Examples
    --------
    >>> import specent as sp
    >>> data = sp.models.finite([[[[-1.0]]], [[[1.0]]]], ["dark", "bright"])
    >>> options = {"schedule": sp.schedules.VE(), "time": [0.01, 1.0, 80.0], "progress": False}
    >>> runs = sp.sample(data, samples=2, record=sp.Record([0.01]), **options)
    >>> previews(data, runs, progress=False).preview.squeeze().values.tolist()
    [[255, 255], [0, 0]]
    """
    hint = "pass the specent.models.Model that was sampled"
    arguments.instance(model, Model, "model", hint)  # type: ignore[type-abstract]
    size = arguments.whole(batch_size, "batch_size", least=1)
    shows, where = arguments.flag(progress, "progress"), resolve_device(device)
    _check(model, runs)
    data = runs["prediction"].transpose(*_RUN, *_DATA)
    if data.chunks is not None:
        return _with_previews(runs, _later(model, data, size, where))
    counts = [data.sizes[dim] for dim in _RUN]
    previews: Any = None
    with tqdm(total=int(np.prod(counts)), desc="decoding", unit="picture", disable=not shows, mininterval=1.0) as bar:
        for block in np.ndindex(*counts[:2]):
            values = np.asarray(data[block].values).reshape(-1, *model.shape)
            for low in range(0, len(values), size):
                # a lazy archive is read a class at a time
                pictures = _decoded(model, values[low : low + size], where)
                if previews is None:
                    previews = np.empty((*counts[:2], len(values), *pictures.shape[1:]), np.uint8)
                previews[block][low : low + size] = pictures
                bar.update(len(pictures))
    return _with_previews(runs, previews.reshape(*counts, *previews.shape[3:]))


def _later(model: Model, data: xr.DataArray, size: int, device: torch.device) -> Any:
    """The pictures as a Dask array over the blocks of the predictions, cut where pictures take much memory."""
    # a picture of nothing says how large pictures are
    shape = _decoded(model, np.zeros((1, *model.shape), np.float32), device).shape[1:]
    each = data.sizes["guidance"] * data.sizes["prediction_time"] * int(np.prod(shape))
    most = max(1, _BLOCK_BYTES // each)
    samples = tuple(min(most, n - low) for n in data.chunksizes["sample"] for low in range(0, n, most))
    classes = (1,) * data.sizes["class_label"] if most == 1 else data.chunksizes["class_label"]
    whole = dict.fromkeys((0, 3, 4, 5, 6), -1)
    blocks = data.data.rechunk({**whole, 1: classes, 2: samples})
    # of the threads that read blocks one at a time may use the network
    lock = threading.Lock()

    def decoded(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        values = block.reshape(-1, *model.shape)
        with lock:
            parts = [_decoded(model, values[low : low + size], device) for low in range(0, len(values), size)]
        return np.concatenate(parts).reshape(*block.shape[:4], *shape)

    name = f"preview-{dask.base.tokenize(data.data.name, model.identity)}"
    chunks = (*blocks.chunks[:4], *((n,) for n in shape))
    return _map_blocks(decoded, blocks, dtype=np.uint8, chunks=chunks, name=name, meta=np.empty((0,) * 7, np.uint8))


def _check(model: Model, runs: xr.Dataset) -> None:
    """The runs must hold predictions of pictures, of this model."""
    runs = schema.need(runs, "trajectories", "runs")
    if "prediction" not in runs or not set(_DATA) <= set(runs["prediction"].dims):
        raise SpecentError(
            "runs hold no predictions of pictures over (channel, y, x); sample a model of pictures or their latents "
            "with record=specent.Record(predictions=[...])"
        )
    shape = tuple(runs.sizes[dim] for dim in _DATA)
    if shape != model.shape:
        raise ModelError(f"runs hold predictions of shape {shape}, the model denoises {model.shape}; pass its model")
    own, other = json.dumps(model.identity, sort_keys=True), str(runs.attrs["model"])
    if own != other:
        differs = _differing(json.loads(own), json.loads(other))
        raise ModelError(
            f"runs were sampled from another model: it differs in {', '.join(differs)}; pass the model of the runs"
        )


def _differing(own: dict[str, Any], other: Any) -> list[str]:
    """In which entries two identities differ."""
    if not isinstance(other, dict):
        return ["its description"]
    return [repr(key) for key in sorted({*own, *other}) if own.get(key) != other.get(key)]


def _decoded(model: Model, values: np.ndarray[Any, Any], device: torch.device) -> np.ndarray[Any, Any]:
    """Pictures (batch, 1 or 3, height, width) in whole numbers, of predictions (batch, channel, y, x)."""
    try:
        decoded = model.decode(torch.from_numpy(np.array(values, dtype=np.float32)).to(device))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{type(model).__name__}.decode raised {reason(error)}") from error
    if (
        not isinstance(decoded, torch.Tensor)
        or decoded.ndim != 4
        or len(decoded) != len(values)
        or decoded.shape[1] not in (1, 3)
    ):
        shown = tuple(decoded.shape) if isinstance(decoded, torch.Tensor) else brief(decoded)
        raise ModelError(
            f"{type(model).__name__}.decode returned {shown} for {len(values)} predictions; (batch, 1 or 3, height, "
            "width) is needed"
        )
    if not torch.isfinite(decoded).all():
        raise ModelError(f"{type(model).__name__}.decode made a NaN or an infinity; its autoencoder overflows")
    greys: np.ndarray[Any, Any] = model.greys(decoded.detach()).cpu().numpy()
    return greys


def _with_previews(runs: xr.Dataset, pictures: Any) -> xr.Dataset:
    """The runs with their pictures, which are the only change."""
    sizes = dict(zip(_PICTURE, pictures.shape[4:], strict=True))
    bare = runs.drop_vars([name for name in ("preview", *_PICTURE) if name in runs.variables])
    result = bare.assign_coords({dim: np.arange(size) for dim, size in sizes.items()})
    result = result.assign(preview=((*_RUN, *_PICTURE), pictures))
    for name in _PICTURE:
        result[name].attrs = schema.COORDINATES[name].attributes(runs.attrs)
    result["preview"].attrs = schema.KINDS["trajectories"]["preview"].attributes(runs.attrs)
    result = schema.ordered(result, "trajectories")
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} Decoded previews of the predictions"
    result.attrs["history"] = f"{runs.attrs['history']}\n{now}"
    schema.validate(result)
    return result
