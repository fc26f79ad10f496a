from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import specent.archive as archive
from specent import schema
from specent.errors import ArchiveError
from specent.partitions import Partition

Change = Callable[[xr.Dataset], None]


def _set(name: str, value: object, **index: int | slice) -> Change:
    def change(dataset: xr.Dataset) -> None:
        dataset[name][index] = value

    return change


def _coordinate(name: str, values: object) -> Change:
    def change(dataset: xr.Dataset) -> None:
        dataset.coords[name] = (dataset[name].dims, np.asarray(values), dataset[name].attrs)

    return change


FIRST = {"dimension": 0, "estimator": 0, "guidance": 0, "partition": 1, "time": 2}
TRAJECTORIES: dict[str, tuple[Change, str]] = {
    "driver's own evidence": (
        _set("log_likelihood", 0.5, guidance=0, class_label=1, sample=2, time=1, candidate=1),
        "log_likelihood=0.5 at guidance=unguided, class_label=dög, sample=2, .*candidate=dög should be 0",
    ),
    "evidence before the start": (
        _set("log_likelihood", 0.5, guidance=0, class_label=1, sample=2, time=-1, candidate=3),
        "time=80.*, candidate=null should be 0",
    ),
    "distance": (
        _set("denoiser_distance", -1, guidance=0, class_label=0, sample=0, time=0, candidate=0),
        "denoiser_distance=-1.0 at .* is negative",
    ),
    "prior": (_coordinate("label_prior", [0.6, 0.6, 0.2]), "label_prior=.* sums to more than 1"),
    "negative prior": (_coordinate("label_prior", [0.6, -0.1, 0.2]), "label_prior=-0.1 at class_label=dög is negative"),
    "noise": (_coordinate("sigma", np.zeros(5)), "sigma=0.0 at time=.* is not positive"),
    "noise level of the schedule": (_coordinate("log_snr", np.zeros(5)), "log_snr is not ln.alpha.2/sigma.2."),
    "schedule": (lambda dataset: dataset.attrs.update(schedule="?"), "cannot be used: schedule='.'"),
    "definition": (_coordinate("definition", ["{}", "?"]), "cannot be used: '{}' is not the JSON definition"),
    "interval": (_coordinate("sigma_lo", [np.inf, 0.0]), "sigma_lo must lie below sigma_hi"),
    "null as class": (_coordinate("class_label", ["cat", "null", "dog"]), "class_label 'null' is the name of the null"),
    "class not scored": (_coordinate("class_label", ["cat", "cow", "red car"]), "'cow' is not among the candidates"),
    "order of candidates": (
        _coordinate("other_candidate", ["dög", "cat", "red car", "null"]), "labels as candidate, in the same order",
    ),
}  # fmt: skip
PROFILES: dict[str, tuple[Change, str]] = {
    "below zero": (
        _set("entropy", -0.01, **FIRST),
        "entropy=-0.01 at dimension=2.0, estimator=path, .*cat . dög.* outside 0",
    ),
    "above one bit": (_set("entropy", 1.01, **FIRST), "entropy=1.01 at .* is outside 0 .. log2.sides."),
    "count": (_set("clipped_ratios", -1, **FIRST), "clipped_ratios=-1 at .* is negative"),
    "bounds": (_set("entropy_lower", 7.0, **FIRST), "entropy_lower=7.0 at .*partition=cat . dög, .* excludes entropy"),
    "exchanged": (
        _coordinate("partition", ["cat | dög", "full"]),
        "partition 'cat | dög' has the definition of 'full'",
    ),
}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [("trajectories", *row) for row in TRAJECTORIES.values()] + [("profiles", *row) for row in PROFILES.values()],
    ids=[*TRAJECTORIES, *PROFILES],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_values_that_cannot_be_are_named(make_dataset, kind, change, message, lazy):
    dataset = make_dataset(kind)
    archive.validate(dataset)
    change(dataset)
    with pytest.raises(ArchiveError, match=message.replace(" | ", " . ")):
        archive.validate(dataset.chunk({"sample": 3} if kind == "trajectories" else {"time": 2}) if lazy else dataset)


@pytest.mark.parametrize("name", ["trajectories", "evaluations", "dropped_mass"])
def test_counts_and_masses_of_statistics_are_not_negative(make_dataset, name):
    dataset = make_dataset("statistics")
    assert name in dataset
    archive.validate(dataset)
    dataset[name][dict.fromkeys(dataset[name].dims, 0)] = -1
    with pytest.raises(ArchiveError, match=f"{name}=-1.* at .* is negative, which it cannot be"):
        archive.validate(dataset)


def test_the_null_estimator_may_stray_and_the_full_set_may_exceed_one_bit(make_dataset):
    dataset = make_dataset("profiles")
    for name in ("entropy", "entropy_lower", "entropy_upper"):
        dataset[name][{"estimator": 1}] = -26.0
        dataset[name][{"estimator": 0, "partition": 0}] = np.log2(3)
    archive.validate(dataset)


def test_rounding_is_forgiven(make_dataset):
    dataset = make_dataset("profiles")
    dataset["entropy"][FIRST] = -1e-12
    archive.validate(dataset)


def test_a_partition_is_read_once_and_not_for_every_piece(make_dataset, monkeypatch):
    labels = [f"label {i}" for i in range(12)]
    partitions = [Partition.one_vs_rest(label, labels) for label in labels]
    dataset = make_dataset("profiles").isel(partition=[1] * len(partitions))
    dataset = dataset.assign_coords(
        partition=("partition", [partition.name for partition in partitions], dataset["partition"].attrs),
        definition=("partition", [partition.to_json() for partition in partitions], dataset["definition"].attrs),
    )
    schema.validate(dataset)  # remembers the definitions it has read
    reads: list[str] = []
    plain = Partition.from_json

    def from_json(text: str) -> Partition:
        reads.append(text)
        return plain(text)

    monkeypatch.setattr(Partition, "from_json", staticmethod(from_json))
    # 60 pieces of every variable over partition and time
    archive.validate(dataset.chunk({"partition": 1, "time": 1}))
    assert reads == []
