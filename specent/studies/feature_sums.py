"""Mean and covariance of the features of samples that are too many to keep, and those of the data out of a file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from specent import arguments
from specent.errors import SpecentError
from specent.files import whole_file
from specent.images.stored import array_names, opened_npz, read_array
from specent.models.base import resolve_device

Array = NDArray[np.float64]
Features = Callable[[Tensor], Any]

INCEPTION = "inception:"
"""How the name of an Inception network in TorchScript begins; its path follows."""


@dataclass
class FeatureSums:
    """Number, sum and sum of products of features, to which batches are added.

    Examples
    --------
    >>> sums = FeatureSums.none(1)
    >>> sums.add([[1.0], [3.0]])
    >>> [part.tolist() for part in sums.moments()]
    [[2.0], [[2.0]]]
    """

    count: int
    first: Array
    second: Array

    @classmethod
    def none(cls, width: int) -> FeatureSums:
        """Sums over nothing, of so many features."""
        return cls(0, np.zeros(width), np.zeros((width, width)))

    def add(self, features: ArrayLike) -> None:
        """Add a batch, shape (batch, features)."""
        values = arguments.array(features, "features")
        if values.ndim != 2 or values.shape[1:] != self.first.shape or not np.isfinite(values).all():
            raise SpecentError(
                f"features of shape {values.shape}: finite numbers of shape (batch, {len(self.first)}) are needed"
            )
        self.count += len(values)
        self.first += values.sum(axis=0)
        self.second += values.T @ values

    def moments(self) -> tuple[Array, Array]:
        """Mean and unbiased covariance."""
        if self.count < 2:
            raise SpecentError(f"{self.count} samples have no covariance; add 2 at least")
        mean = self.first / self.count
        covariance = (self.second - self.count * np.outer(mean, mean)) / (self.count - 1)
        return mean, (covariance + covariance.T) / 2

    def save(self, path: Path) -> None:
        """Write them to an .npz file, whole or not at all."""
        with whole_file(path, overwrite=True) as file, file.open("wb") as stream:
            np.savez(stream, count=np.array([self.count]), first=self.first, second=self.second)

    @classmethod
    def read(cls, path: Path) -> FeatureSums:
        """Those that `save` wrote."""
        what = f"sums of features {str(path)!r}"
        with opened_npz(path, what) as archive:
            count, first, second = (read_array(archive, name, what) for name in ("count", "first", "second"))
        return cls(int(count[0]), first, second)


def read_reference(path: Path) -> tuple[Array, Array]:
    """Mean and covariance of the features of the data.

    Parameters
    ----------
    path : Path
        An .npz file with ``mu`` (features,) and ``sigma`` (features, features).

    Returns
    -------
    mean, covariance : ndarray

    Raises
    ------
    SpecentError
        If the file is missing, or does not hold them.
    """
    what, file = f"reference={str(path)!r}", Path(path).expanduser()
    if not file.is_file():
        raise SpecentError(f"{what} does not exist; give an .npz file with mu and sigma of the features of the data")
    with opened_npz(file, what) as archive:
        names = array_names(archive)
        if not {"mu", "sigma"} <= set(names):
            raise SpecentError(f"{what} holds {names}; mu and sigma are needed")
        mean, covariance = (read_array(archive, name, what).astype(np.float64) for name in ("mu", "sigma"))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise SpecentError(
            f"{what}: mu has shape {mean.shape} and sigma {covariance.shape}; (features,) and (features, features) "
            "are needed"
        )
    return mean, covariance


def features_of(name: str, device: str = "cpu") -> Features:
    """A feature space by name.

    Parameters
    ----------
    name : str
        ``"inception:FILE"`` for the Inception network of published Frechet distances in TorchScript, which takes
        whole greys and ``return_features=True``; otherwise DINOv2, a folder or a name on the hub.
    device : str
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    callable
        Features, shape (batch, features), of pictures from 0 to 1.

    Raises
    ------
    SpecentError
        If there is no such network.
    """
    from specent.quality import dinov2

    if not name.startswith(INCEPTION):
        network: Features = dinov2(name, device=device)
        return network
    file, target = Path(name.removeprefix(INCEPTION)).expanduser(), resolve_device(device)
    if not file.is_file():
        raise SpecentError(f"features={name!r}: there is no such file; give {INCEPTION}PATH, or the name of a DINOv2")
    try:
        with warnings.catch_warnings():
            # the published file exists in this form alone
            warnings.filterwarnings("ignore", ".*torch.jit.load", DeprecationWarning)
            net = torch.jit.load(str(file), map_location=target).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise SpecentError(f"features={name!r} is no network in TorchScript ({str(error)[:200]})") from error

    def features(pictures: Tensor) -> Any:
        greys = (255 * pictures.clamp(0, 1)).to(torch.uint8).expand(-1, 3, -1, -1).to(target)
        with torch.inference_mode():
            return net(greys, return_features=True).double().cpu().numpy()

    return features
