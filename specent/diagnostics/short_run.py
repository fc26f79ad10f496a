"""A short run of the model: a few trajectories of some labels, with every one of these labels scored."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from specent.diagnostics.labelled_data import LabelledExamples
from specent.diagnostics.subject import FEW, Subject
from specent.errors import SpecentWarning
from specent.partitions import NULL, Partition
from specent.sampling import Record, sample
from specent.schedules import VE, edm_grid

_LARGE = 1024
# noise levels, labels and trajectories per label, of small samples and of large ones
_SMALL_RUN, _LARGE_RUN = (24, FEW, 8), (16, 4, 4)


@dataclass(frozen=True)
class ShortRun:
    """Trajectories of the labels that were tried, and the warnings that came with them."""

    dataset: xr.Dataset
    notes: tuple[str, ...]

    def without_posterior(self, labels: int) -> str:
        """Why the posterior of all of so many labels is not known along it, empty where it is."""
        if labels < 2:
            return "the model has one label only"
        tried = self.dataset.sizes["class_label"]
        if tried < labels:
            return f"the short run has {tried} of {labels} labels, and it takes a run of all"
        # it begins where labels are known already, and does not know them
        return "the short run starts too late" if self.notes else ""


def short_run(subject: Subject) -> ShortRun:
    """Sample a few trajectories of some labels, with every one of them scored."""
    steps, most, samples = _SMALL_RUN if np.prod(subject.model.shape) <= _LARGE else _LARGE_RUN
    names = [subject.model.labels[label] for label in subject.labels[:most]]
    levels = subject.probe.nearest_known(edm_grid(steps, subject.low, subject.high))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = sample(
            subject.probe.counted_model,
            schedule=VE(),
            time=levels,
            samples=samples,
            classes=names,
            candidates=[*names, *([NULL] if subject.model.null else [])],
            partitions=[Partition.full(names)] if len(names) > 1 else [],
            seed=subject.seed,
            device=str(subject.device),
            record=Record(distances=True),
            # the check itself says more than a look before the run, and every evaluation is counted
            check=False,
            threads=torch.get_num_threads(),
            progress=False,
        )
    notes = tuple(str(note.message) for note in caught if issubclass(note.category, SpecentWarning))
    return ShortRun(dataset, notes)


def final_samples(subject: Subject, run: ShortRun) -> LabelledExamples:
    """The final samples of a short run, as data."""
    final = run.dataset["final"].isel(guidance=0).values
    samples = final.shape[1]
    labels = [subject.model.labels.index(str(name)) for name in run.dataset["class_label"].values]
    # in turn from every class
    images = torch.as_tensor(np.swapaxes(final, 0, 1).reshape(-1, *subject.model.shape), dtype=torch.float64)
    classes = torch.tensor(labels * samples, dtype=torch.int64)
    return LabelledExamples(images.to(subject.device), classes.to(subject.device), own=True, seed=subject.seed)
