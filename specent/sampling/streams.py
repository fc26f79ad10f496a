"""Random streams: one per (seed, class label, sample).

A trajectory's noise depends on its own key alone: not on the batch it is computed in, the order of the classes, the
device, or the guidance setting, so any part of a run can be done again alone and guided runs pair with unguided ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SEED_RULE = (
    "one NumPy Philox stream per trajectory, SeedSequence([seed, sample, four 32-bit words of SHA-256 of the class "
    "label]); standard normals in double precision: the start, then one vector per step; shared by guidance settings"
)
SHARED_RULE = SEED_RULE.replace("SHA-256 of the class label", "SHA-256 of the empty text") + " and by classes"

_BLOCK = 2**21


class Streams:
    """The streams of a batch of trajectories, read one vector at a time.

    Parameters
    ----------
    seed : int
        Seed of the run.
    keys : sequence of (str, int)
        Class label (or the empty text, for noise shared by classes) and sample of each trajectory.
    features : int
        Length of a vector.
    vectors : int
        How many vectors will be read in all.
    """

    def __init__(self, seed: int, keys: Sequence[tuple[str, int]], features: int, vectors: int) -> None:
        self._generators = [_generator(seed, label, sample) for label, sample in keys]
        self._features = features
        self._left = vectors
        # several steps at a time: one call per trajectory and block instead of one per trajectory and step
        self._size = max(1, _BLOCK // max(1, features * len(keys)))
        self._buffer = np.empty((0, len(keys), features))
        self._next = 0

    def draw(self) -> NDArray[np.float64]:
        """The next vector of every stream, shape (trajectories, features)."""
        if self._next == len(self._buffer):
            count = min(self._size, self._left)
            self._buffer = np.empty((count, len(self._generators), self._features))
            for i, generator in enumerate(self._generators):
                self._buffer[:, i] = generator.standard_normal((count, self._features))
            self._left -= count
            self._next = 0
        self._next += 1
        drawn: NDArray[np.float64] = self._buffer[self._next - 1]
        return drawn


def _generator(seed: int, label: str, sample: int) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(label.encode()).digest()[:16], dtype="<u4")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, sample, *map(int, words)])))
