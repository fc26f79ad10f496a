"""What the numbers of an archive must fulfil, whatever computed them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import xarray as xr

from specent.archive.pieces import Region
from specent.errors import ArchiveError
from specent.schema import KINDS, definitions

# an entropy is a mean of sums of P log P: it may leave its range by rounding only
_ROUNDING = 1e-6
_NOT_NEGATIVE = (
    "denoiser_distance", "clipped_ratios", "discretisation_bias", "frechet_distance", "scale", "trajectories",
    "evaluations", "dropped_mass", "null_clipped",
)  # fmt: skip
_SHARES = ("precision", "recall", "accuracy")


class ValueRules:
    """The rules for the values of one dataset. What they need of its coordinates is read once, not for every piece.

    Parameters
    ----------
    dataset : Dataset
        Of any kind of the contract.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self.dataset = dataset

    @cached_property
    def _most_entropy(self) -> np.ndarray:
        """The entropy of even odds between the sides, for every partition, in bit."""
        return np.log2([sides for _, sides in definitions.outlines(self.dataset)])

    def check_names(self) -> None:
        """Check what must hold in a file and need not in a selection: names of partitions, and who was scored."""
        dataset = self.dataset
        for name, (defined, _) in zip(_texts(dataset, "partition"), definitions.outlines(dataset), strict=True):
            if defined != name:
                raise ArchiveError(
                    f"partition {name!r} has the definition of {defined!r}; give the definition that name"
                )
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

    def check_piece(self, name: str, region: Region, values: np.ndarray) -> None:
        """Raise `ArchiveError` with the labels of the first value of a piece that breaks a rule."""
        if values.dtype.kind == "f":
            bad = np.isnan(values) if name == "sigma_hi" else ~np.isfinite(values)
            if self._may_be_missing(name):
                bad = np.isinf(values)
            self._refuse(name, region, values, bad, "is not a finite number; find the computation that gave it")
        if name in _NOT_NEGATIVE:
            self._refuse(name, region, values, values < 0, "is negative, which it cannot be")
        if name in _SHARES:
            self._refuse(name, region, values, (values < 0) | (values > 1), "is no share between 0 and 1")
        if name == "entropy":
            self._check_entropy(region, values)
        if name == "log_likelihood":
            self._check_evidence(region, values)

    def _may_be_missing(self, name: str) -> bool:
        """Whether NaN stands for a value that does not exist."""
        row = KINDS[str(self.dataset.attrs["specent_kind"])].get(name)
        return row is not None and row.missing

    def _check_entropy(self, region: Region, values: np.ndarray) -> None:
        """The entropy of a posterior lies between 0 and that of even odds; the other estimators may leave the range."""
        dims = self.dataset["entropy"].dims
        part = dict(zip(dims, region, strict=True))
        most = xr.DataArray(self._most_entropy[part["partition"]], dims="partition")
        posterior = self._labels("estimator", part["estimator"]).isin(["exact", "path"])
        array = xr.DataArray(values, dims=dims)
        outside = posterior & ((array < -_ROUNDING) | (array > most + _ROUNDING))
        reason = "is outside 0 .. log2(sides), where the entropy of a posterior lies"
        self._refuse("entropy", region, values, outside.transpose(*dims).values, reason)

    def _check_evidence(self, region: Region, values: np.ndarray) -> None:
        """Evidence is relative to the driver and starts at the noisy end."""
        dims = self.dataset["log_likelihood"].dims
        part = dict(zip(dims, region, strict=True))
        drivers, candidates, times = (self._labels(dim, part[dim]) for dim in ("class_label", "candidate", "time"))
        zero = (drivers == candidates) | (times == self.dataset["time"].values[-1])
        wrong = (zero & (abs(xr.DataArray(values, dims=dims)) > _ROUNDING)).transpose(*dims).values
        reason = "should be 0: evidence is relative to the driver, and there is none at the last time"
        self._refuse("log_likelihood", region, values, wrong, reason)

    def _labels(self, dim: str, part: slice) -> xr.DataArray:
        return xr.DataArray(self.dataset[dim].values[part], dims=dim)

    def check_bounds(self) -> None:
        """Raise unless every value lies between its bounds."""
        for key in self.dataset.data_vars:
            stem = str(key).removesuffix("_lower")
            if stem == key:
                continue
            value, lower, upper = (self.dataset[name].values for name in (stem, f"{stem}_lower", f"{stem}_upper"))
            whole = tuple(slice(0, size) for size in value.shape)
            for name, bound, bad in ((f"{stem}_lower", lower, lower > value), (f"{stem}_upper", upper, upper < value)):
                self._refuse(name, whole, bound, bad, f"excludes {stem} itself; recompute the bounds")

    def _refuse(self, name: str, region: Region, values: np.ndarray, bad: np.ndarray, reason: str) -> None:
        """Raise if any value of a piece is bad, naming the labels of the first."""
        if not bad.any():
            return
        first = np.unravel_index(int(np.argmax(bad)), bad.shape)
        labels = []
        for dim, part, i in zip(self.dataset[name].dims, region, first, strict=True):
            index = part.start + int(i)
            label = self.dataset[dim].values[index] if dim in self.dataset.coords and name != dim else f"#{index}"
            labels.append(f"{dim}={label.item() if isinstance(label, np.generic) else label!s}")
        raise ArchiveError(f"{name}={values[first]!s} at {', '.join(labels)} {reason}")


def _texts(dataset: xr.Dataset, name: str) -> list[str]:
    return [str(text) for text in dataset[name].values] if name in dataset.coords else []
