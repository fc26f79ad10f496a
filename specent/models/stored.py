"""Rows of an array that stays where it is, a file for example, read when they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Stored:
    """What a tensor of images is to the sums over a finite data set, without the images in memory.

    Parameters
    ----------
    source : array
        With ``dtype``, ``shape`` and indexing by slices and by increasing indices: a NumPy memory map, for example.
    order : ndarray of int64, shape (rows,)
        The row of the source that is the first row here, the second, and so on.
    dtype : torch.dtype
        Single or double precision.
    offset : float
        Subtracted from every number.
    device : torch.device
        Where rows go once they are read.
    """

    def __init__(
        self, source: Any, order: NDArray[np.int64], dtype: torch.dtype, offset: float, device: torch.device
    ) -> None:
        self.source = source
        self.order = order
        self.dtype = dtype
        self.offset = offset
        self.device = device

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, part: slice | Tensor) -> Tensor:
        chosen = self.order[part if isinstance(part, slice) else part.cpu().numpy()]
        return self.converted(self.read(chosen))

    def to(self, device: torch.device) -> Stored:
        """The same rows for another device."""
        return Stored(self.source, self.order, self.dtype, self.offset, device)

    def read(self, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """Rows of the source as they are there, shape (chosen, numbers of a row); perhaps a view of them."""
        # files are read forwards and every row once; neighbours are one slice
        rows, back = np.unique(chosen, return_inverse=True)
        neighbours = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows)
        found = np.asarray(self.source[rows[0] : rows[-1] + 1] if neighbours else self.source[rows])
        found = found.reshape(len(rows), -1)
        return found if np.array_equal(rows, chosen) else found[back]

    def converted(self, found: NDArray[Any]) -> Tensor:
        """Rows as `read` returns them, less the offset, in the precision and on the device of the rest."""
        # what single precision holds exactly needs no detour
        direct = self.dtype is torch.float32 and np.can_cast(found.dtype, np.float32)
        values = torch.from_numpy(found.astype(np.float32 if direct else np.float64))
        return values.sub_(self.offset).to(self.device, self.dtype)
