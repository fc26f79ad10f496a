"""What the numbers of an archive must fulfil, whatever made them."""

from __future__ import annotations

from collections.abc import Iterator

import dask.base
import numpy as np
import xarray as xr

from specent.errors import ArchiveError, SpecentError
from specent.partitions import Partition
from specent.schema import KINDS

Region = tuple[slice, ...]
Piece = tuple[str, Region, np.ndarray]

_CHUNK_BYTES = 4 << 20
_BATCH_BYTES = 64 << 20
# an entropy is a mean of sums of P log P: it may leave its range by rounding only
_ROUNDING = 1e-6


def storage_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk shape of 1 to 4 MB (the whole variable where it is smaller) that keeps the last dimensions together.

    Examples
    --------
    >>> storage_chunks((2, 10, 1000, 64, 11), 8)
    (1, 1, 500, 64, 11)
    """
    room = max(_CHUNK_BYTES // itemsize, 1)
    chunks: list[int] = []
    for size in reversed(shape):
        parts = -(-size // room)
        chunks.append(-(-size // parts))
        # once a dimension is split, the ones before it go one by one
        room = 1 if parts > 1 else max(room // size, 1)
    return tuple(reversed(chunks))


def layout(variable: xr.Variable) -> tuple[int, ...]:
    """Storage chunks of a variable; within the blocks of a dask array, so that no chunk is written twice."""
    shape = variable.shape
    if variable.chunks is not None:
        block = tuple(max(sizes) for sizes in variable.chunks)
        if np.prod(block) * variable.dtype.itemsize >= 1 << 20:
            shape = block
    return storage_chunks(shape, variable.dtype.itemsize)


def regions(variable: xr.Variable) -> Iterator[Region]:
    """Cut a variable into the blocks of its dask array, or into its storage chunks."""
    blocks = variable.chunks
    if blocks is None:
        blocks = tuple(
            tuple(min(step, size - start) for start in range(0, size, step))
            for size, step in zip(variable.shape, layout(variable), strict=True)
        )
    ends = [np.cumsum(sizes) for sizes in blocks]
    for place in np.ndindex(*[len(sizes) for sizes in blocks]):
        stops = [int(end[i]) for end, i in zip(ends, place, strict=True)]
        yield tuple(slice(b - sizes[i], b) for b, sizes, i in zip(stops, blocks, place, strict=True))


def pieces(dataset: xr.Dataset) -> Iterator[Piece]:
    """All values of a dataset, piece by piece, never more than a batch of pieces in memory.

    Pieces of one batch are computed together, so that small variables share the work they have in common.
    """
    batch: list[tuple[str, Region]] = []
    size = 0
    tasks = [(str(name), region) for name, variable in dataset.variables.items() for region in regions(variable)]
    for i, (name, region) in enumerate(tasks):
        batch.append((name, region))
        size += int(np.prod([part.stop - part.start for part in region])) * dataset[name].dtype.itemsize
        if size >= _BATCH_BYTES or i + 1 == len(tasks):
            parts = [dataset.variables[key][where] for key, where in batch]
            for (key, where), values in zip(batch, _computed(parts, batch), strict=True):
                yield key, where, np.asarray(values, dtype=str) if values.dtype.kind in "OT" else values
            batch, size = [], 0


def _computed(parts: list[xr.Variable], batch: list[tuple[str, Region]]) -> list[np.ndarray]:
    """The parts in memory; what fails there is not the archive's doing, and is told apart from it."""
    try:
        computed = dask.base.compute(*parts)  # type: ignore[no-untyped-call]
        return [np.asarray(part.values) for part in computed]
    except SpecentError:
        raise
    except Exception as error:  # anything may be raised in there
        name, what = _culprit(parts, batch), f"{type(error).__name__}: {error}"
        raise ArchiveError(
            f"dataset: computing the data of {name} failed ({what}); see dataset[{name}].compute()"
        ) from error


def _culprit(parts: list[xr.Variable], batch: list[tuple[str, Region]]) -> str:
    """Which variable cannot be computed: each by itself, until one fails."""
    for part, (name, _) in zip(parts, batch, strict=True):
        try:
            part.compute()
        except Exception:  # the first one was kept
            return repr(name)
    return " or ".join(dict.fromkeys(repr(name) for name, _ in batch))


def check_piece(dataset: xr.Dataset, name: str, region: Region, values: np.ndarray) -> None:
    """Raise `ArchiveError` with the place of the first value that must not be there."""
    if values.dtype.kind == "f":
        bad = np.isnan(values) if name == "sigma_hi" else ~np.isfinite(values)
        if _may_be_missing(dataset, name):
            bad = np.isinf(values)
        _raise_first(dataset, name, region, values, bad, "is not a finite number; find out what made it")
    if name in _NOT_NEGATIVE:
        _raise_first(dataset, name, region, values, values < 0, "is negative, which it cannot be")
    if name in _SHARES:
        _raise_first(dataset, name, region, values, (values < 0) | (values > 1), "is no share between 0 and 1")
    if name == "entropy":
        _check_entropy(dataset, region, values)
    if name == "log_likelihood":
        _check_evidence(dataset, region, values)


def _may_be_missing(dataset: xr.Dataset, name: str) -> bool:
    """Whether NaN stands for a value that does not exist."""
    row = KINDS[str(dataset.attrs["specent_kind"])].get(name)
    return row is not None and row.missing


_NOT_NEGATIVE = ("denoiser_distance", "clipped_ratios", "frechet_distance", "scale")
_SHARES = ("precision", "recall", "accuracy")


def _check_entropy(dataset: xr.Dataset, region: Region, values: np.ndarray) -> None:
    """The entropy of a posterior lies between 0 and that of even odds; the other estimators are free to stray."""
    held = _labels(dataset, "entropy", region)
    where = dict(zip(dataset["entropy"].dims, region, strict=True))["partition"]
    sides = [len(Partition.from_json(str(text)).sides) for text in dataset["definition"].values[where]]
    room = xr.DataArray(np.log2(sides), dims="partition")
    posterior = held["estimator"].isin(["exact", "path"])
    array = xr.DataArray(values, dims=dataset["entropy"].dims)
    outside = posterior & ((array < -_ROUNDING) | (array > room + _ROUNDING))
    text = "is outside 0 .. log2(sides), where the entropy of a posterior lies"
    _raise_first(dataset, "entropy", region, values, outside.transpose(*array.dims).values, text)


def _check_evidence(dataset: xr.Dataset, region: Region, values: np.ndarray) -> None:
    """Evidence is relative to the driver and starts at the noisy end."""
    held = _labels(dataset, "log_likelihood", region)
    array = xr.DataArray(values, dims=dataset["log_likelihood"].dims)
    zero = (held["class_label"] == held["candidate"]) | (held["time"] == dataset["time"].values[-1])
    wrong = (zero & (abs(array) > _ROUNDING)).transpose(*array.dims).values
    text = "should be 0: evidence is relative to the driver, and there is none at the last time"
    _raise_first(dataset, "log_likelihood", region, values, wrong, text)


def _labels(dataset: xr.Dataset, name: str, region: Region) -> dict[str, xr.DataArray]:
    """Labels of a piece along each of its dimensions, without coordinates."""
    dims = [str(dim) for dim in dataset[name].dims]
    return {dim: xr.DataArray(dataset[dim].values[part], dims=dim) for dim, part in zip(dims, region, strict=True)}


def _raise_first(
    dataset: xr.Dataset, name: str, region: Region, values: np.ndarray, bad: np.ndarray, text: str
) -> None:
    if not bad.any():
        return
    place = np.unravel_index(int(np.argmax(bad)), bad.shape)
    labels = []
    for dim, part, i in zip(dataset[name].dims, region, place, strict=True):
        index = part.start + int(i)
        label = dataset[dim].values[index] if dim in dataset.coords and name != dim else f"#{index}"
        labels.append(f"{dim}={label.item() if isinstance(label, np.generic) else label!s}")
    raise ArchiveError(f"{name}={values[place]!s} at {', '.join(labels)} {text}")


def check_labels(dataset: xr.Dataset) -> None:
    """Check what must hold in a file and need not in a selection: names of partitions, and who was scored."""
    for name, text in zip(_texts(dataset, "partition"), _texts(dataset, "definition"), strict=True):
        defined = Partition.from_json(text).name
        if defined != name:
            raise ArchiveError(f"partition {name!r} has the definition of {defined!r}; give the definition that name")
    if "candidate" not in dataset.coords:
        return
    candidates = _texts(dataset, "candidate")
    missing = [label for label in _texts(dataset, "class_label") if label not in candidates]
    if missing:
        raise ArchiveError(
            f"class_label {missing[0]!r} is not among the candidates {candidates!r}; select the same class_label"
        )
    if "other_candidate" in dataset.coords and _texts(dataset, "other_candidate") != candidates:
        raise ArchiveError(
            "other_candidate must hold the same labels as candidate, in the same order; select both alike"
        )


def check_bounds(dataset: xr.Dataset) -> None:
    """Raise unless every value lies between its bounds."""
    for key in dataset.data_vars:
        stem = str(key).removesuffix("_lower")
        if stem == key:
            continue
        value, lower, upper = (dataset[name].values for name in (stem, f"{stem}_lower", f"{stem}_upper"))
        whole = tuple(slice(0, size) for size in value.shape)
        for name, bound, bad in ((f"{stem}_lower", lower, lower > value), (f"{stem}_upper", upper, upper < value)):
            _raise_first(dataset, name, whole, bound, bad, f"excludes {stem} itself; recompute the bounds")


def _texts(dataset: xr.Dataset, name: str) -> list[str]:
    return [str(text) for text in dataset[name].values] if name in dataset.coords else []
