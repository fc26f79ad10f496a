"""The numbers behind the views: profiles of a partition, at first of some trajectories and then of all.

Everything is worked out by `specent.entropy` and `specent.speciation`, once for every choice. Of a large archive the
first trajectories of every class are held in memory: every trajectory has a random stream of its own, so they are a
sample like any other.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import dask
import xarray as xr
from dask.callbacks import Callback

from specent.analysis import entropy, speciation
from specent.analysis.production import PRODUCTION
from specent.errors import SpecentError, SpecentWarning
from specent.explorer.remarks import collected
from specent.explorer.source import Explored
from specent.partitions import NULL, Partition

PREVIEW = 2**19
"""Log-likelihoods that a preview takes at most, over all that is selected."""

MOST_PAIRED = 12
"""Classes of which all pairs are compared at most."""

REPLICATES = 50
"""Bootstrap replicates of a preview."""

# numbers of a variable of the preview that are held in memory
_IN_MEMORY = 2**26
_ENTRIES = 64


@dataclass(frozen=True)
class Request:
    """What is to be worked out.

    Attributes
    ----------
    partitions : tuple of Partition or str
        The partitions; of profiles without definitions their names.
    guidance, estimator, run : tuple of str
        Names of what is selected, all for an empty tuple.
    """

    partitions: tuple[Partition | str, ...]
    guidance: tuple[str, ...] = ()
    estimator: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Answer:
    """Profiles, and what they were worked out from.

    Attributes
    ----------
    request : Request
        What was requested.
    profiles : Dataset
        Kind ``profiles``.
    summary : Dataset or None
        Kind ``speciation``; None where the profiles cannot be summarised.
    samples, of : int
        Trajectories of every class that they are of, and that there are; 0 of profiles and statistics.
    rate : str
        How rates were taken: "production", "differences", or "" of stored profiles.
    replicates : int or None
        Bootstrap replicates; None for the number that `specent.entropy` takes.
    remarks : tuple of str
        Warnings.
    """

    request: Request
    profiles: xr.Dataset
    summary: xr.Dataset | None
    samples: int = 0
    of: int = 0
    rate: str = ""
    replicates: int | None = None
    remarks: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all trajectories took part."""
        return self.samples == self.of


class StoppedError(Exception):
    """The work is no longer needed."""


class Computing:
    """Works out what views need of one source, and keeps the last answers.

    Parameters
    ----------
    source : Explored
        What is explored.
    """

    def __init__(self, source: Explored) -> None:
        self.source = source
        self._answers: OrderedDict[tuple[Request, bool], Answer] = OrderedDict()
        self._memory: dict[str, xr.DataArray] = {}
        self._lock = threading.RLock()

    @property
    def samples(self) -> int:
        """Trajectories of every class that the source has; 0 of profiles and statistics."""
        return self.source.dataset.sizes["sample"] if self.source.kind == "trajectories" else 0

    @property
    def preview_samples(self) -> int:
        """Trajectories of every class in a preview: those of whole shards, if one is not too large already."""
        if not self.samples:
            return 0
        evidence = self.source.dataset["log_likelihood"]
        count = min(self.samples, max(10, PREVIEW // (evidence.size // self.samples)))
        # a shard of which a part is read is checked as a whole
        shard = evidence.chunksizes.get("sample", (count,))[0]
        return count if count <= shard or count == self.samples else count - count % shard

    def answer(self, request: Request, *, whole: bool, stop: Callable[[], bool] | None = None) -> Answer:
        """Profiles and their summary, of all trajectories or of those of the preview.

        Parameters
        ----------
        request : Request
            What is requested.
        whole : bool
            Whether to take all trajectories.
        stop : callable, optional
            Says whether the answer is no longer needed; called again and again.

        Raises
        ------
        SpecentError
            If it cannot be worked out.
        StoppedError
            If it is no longer needed.
        """
        whole = whole or self.preview_samples == self.samples
        with self._lock:
            if (request, whole) in self._answers:
                self._answers.move_to_end((request, whole))
                return self._answers[request, whole]
        answer = self._stored(request) if self.source.kind == "profiles" else self._analysed(request, whole, stop)
        with self._lock:
            self._answers[request, whole] = answer
            while len(self._answers) > _ENTRIES:
                self._answers.popitem(last=False)
        return answer

    def paired(self, partition: Partition | str) -> tuple[Partition, ...]:
        """The pairs of classes that a matrix and a tree are drawn of; none if there are too few or too many classes."""
        if not self.source.analyses:
            return tuple(one for one in self.source.stored if [len(side) for _, side in one.sides] == [1, 1])
        labels: Sequence[str] = self.source.labels
        if len(labels) > MOST_PAIRED and isinstance(partition, Partition):
            labels = [label for label in partition.labels if label != NULL]
        if not 3 <= len(labels) <= MOST_PAIRED:
            return ()
        return tuple(Partition.pair(a, b) for a, b in combinations(labels, 2))

    def trajectories(self, request: Request) -> xr.Dataset:
        """The trajectories of the preview, what a request needs of them in memory.

        Production is taken for the partitions of which it is stored, and from distances of the others.
        """
        runs = self.source.dataset.isel(sample=slice(0, self.preview_samples))
        stored = {(one.sides, one.prior): i for i, one in enumerate(self.source.stored)}
        at = [stored.get((one.sides, one.prior)) for one in request.partitions if isinstance(one, Partition)]
        names = {"log_likelihood"} | ({"denoiser_distance", "scale", "dropped_mass"} if None in at else set())
        positions = [i for i in at if i is not None]
        if positions:
            runs, names = runs.isel(partition=positions), names.union(PRODUCTION)
        else:
            runs = runs.drop_vars(["partition", "definition", *PRODUCTION], errors="ignore")
        runs = runs.drop_vars([name for name in runs.data_vars if name not in names])
        with self._lock:
            for name in map(str, runs.data_vars):
                if name in PRODUCTION:
                    runs[name] = runs[name].load()
                elif runs[name].size <= _IN_MEMORY:
                    if name not in self._memory:
                        self._memory[name] = runs[name].load()
                    runs[name] = self._memory[name]
        return _selected(runs, guidance=request.guidance or None)

    def _stored(self, request: Request) -> Answer:
        names = [one if isinstance(one, str) else one.name for one in request.partitions]
        part = _selected(
            self.source.dataset, partition=names, guidance=request.guidance or None,
            estimator=request.estimator or None, run=request.run or None,
        ).compute()  # fmt: skip
        with collected() as remarks:
            summary = _summary(part)
        return Answer(request, part, summary, remarks=tuple(remarks))

    def _analysed(self, request: Request, whole: bool, stop: Callable[[], bool] | None) -> Answer:
        runs, samples = self.source.dataset, self.samples
        if samples and (not whole or samples == self.preview_samples):
            runs, samples = self.trajectories(request), self.preview_samples
        else:
            runs = _selected(runs, guidance=request.guidance or None)
        replicates = None if whole else REPLICATES
        with collected() as remarks, _until(stop):
            profiles, rate = _profiles(runs, request, replicates)
            summary = _summary(profiles)
        return Answer(request, profiles, summary, samples, self.samples, rate, replicates, tuple(remarks))


def _selected(dataset: xr.Dataset, **names: Sequence[str] | None) -> xr.Dataset:
    """What is chosen of a dataset."""
    # figures are imported here, beside the page, while the browser lays it out
    from specent.plotting.select import select

    return select(dataset, **names)


def _profiles(runs: xr.Dataset, request: Request, replicates: int | None) -> tuple[xr.Dataset, str]:
    """Entropies of the partitions, with rates by the production wherever that can be had."""
    partitions = list(request.partitions)
    estimator = request.estimator or ("path",)
    try:
        return entropy(runs, partitions, estimator, replicates=replicates, progress=False), "production"
    except SpecentError as error:
        try:
            taken = entropy(runs, partitions, estimator, rate="differences", replicates=replicates, progress=False)
        except SpecentError:
            # what is wrong is not how the rate is taken
            raise error from None
        return taken, "differences"


def _summary(profiles: xr.Dataset) -> xr.Dataset | None:
    try:
        return speciation(profiles, progress=False)
    except SpecentError as error:
        warnings.warn(str(error), SpecentWarning, stacklevel=2)
        return None


class _Until(Callback):
    """Stops the work of this thread between two tasks of Dask."""

    def __init__(self, stop: Callable[[], bool], thread: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stop, self.thread = stop, thread

    def _pretask(self, _key: Any, _dsk: Any, _state: Any) -> None:
        # callbacks of Dask are called for the work of every thread
        if threading.get_ident() == self.thread and self.stop():
            raise StoppedError


@contextmanager
def _until(stop: Callable[[], bool] | None) -> Iterator[None]:
    """Work in this thread alone, until it is no longer needed."""
    if stop is None:
        yield
        return
    if stop():
        raise StoppedError
    with dask.config.set(scheduler="synchronous"), _Until(stop, threading.get_ident()):
        yield
