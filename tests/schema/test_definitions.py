"""Definitions of partitions in few words: the same partitions come back, through files and analysis, old and new."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import specent as sp
from specent.errors import ArchiveError, PartitionError
from specent.schema import coordinates, definitions

# three steps show that the curves are rough
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")
LABELS = [f"class {i}" for i in range(40)]
SCHEDULE = sp.schedules.VE()
GRID = sp.schedules.edm_grid(3, 0.1, 2000)


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    """Forty components on a line, with partitions that are long, short and in between."""
    mix = sp.exact.GaussianMixture(np.arange(40.0)[:, None], labels=LABELS)
    partitions = [
        "full", *(sp.Partition.one_vs_rest(label, LABELS) for label in LABELS[:3]), "class 0|class 1",
        sp.Partition.groups({"few": LABELS[:2], "many": LABELS[2:36]}),
    ]  # fmt: skip
    return sp.sample(
        sp.models.mixture(mix), schedule=SCHEDULE, time=GRID, samples=2, partitions=partitions, progress=False
    )


def spelled_out(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset as earlier versions wrote it."""
    texts = [one.to_json() for one in coordinates.stored_partitions(dataset)]
    old = xr.Variable("partition", texts, dataset["definition"].attrs)
    del old.attrs["labels"]
    return dataset.assign_coords(definition=old)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_same_partitions_come_back(data: st.DataObject) -> None:
    names = data.draw(st.permutations([f"n{i}" for i in range(data.draw(st.integers(34, 40)))]))
    partitions = []
    for number in range(data.draw(st.integers(1, 4))):
        cut = data.draw(st.integers(1, len(names) - 1))
        own = data.draw(st.sampled_from([names, sorted(names), names[:-1]]))
        if data.draw(st.booleans()):
            partitions.append(sp.Partition(f"p{number}", (("left", tuple(own[:cut])), ("right", tuple(own[cut:])))))
        elif data.draw(st.booleans()):
            partitions.append(sp.Partition(f"p{number}", sp.Partition.full(own).sides))
        else:
            null = (("null", ("null",)), ("rest", tuple(own)))
            partitions.append(sp.Partition(f"p{number}", null, (0.25, 0.75)))
    texts, labels = definitions.to_texts(partitions)
    assert definitions.from_texts(texts, labels) == partitions
    assert [definitions.outline(text, labels) for text in texts] == [(p.name, len(p.sides)) for p in partitions]


def test_space_is_linear_in_the_labels() -> None:
    sizes = []
    for count in (200, 400):
        names = [f"c{i:04}" for i in range(count)]
        partitions = [sp.Partition.full(names), *(sp.Partition.one_vs_rest(name, names) for name in names)]
        texts, labels = definitions.to_texts(partitions)
        assert definitions.from_texts(texts, labels) == partitions
        sizes.append(count * max(map(len, texts)) + len(labels))  # NumPy and netCDF pad texts to the longest
    assert sizes[1] < 2.1 * sizes[0]
    assert sizes[1] < 200 * 400


def test_a_text_does_not_depend_on_what_stands_beside_it() -> None:
    partitions = [sp.Partition.full(LABELS), *(sp.Partition.one_vs_rest(label, LABELS) for label in LABELS)]
    together = definitions.to_texts(partitions)[0]
    assert [definitions.to_texts([one])[0][0] for one in partitions] == together
    assert len(set(together)) == len(together)


def test_few_labels_are_spelled_out_as_ever() -> None:
    partitions = [sp.Partition.full(LABELS[:32]), sp.Partition.one_vs_rest("class 0", LABELS[:33])]
    texts, labels = definitions.to_texts(partitions)
    assert texts == [one.to_json() for one in partitions]
    assert not labels


def test_a_file_holds_them_and_gives_them_back(runs: xr.Dataset, tmp_path) -> None:
    stored = coordinates.stored_partitions(runs)
    assert [len(one.labels) for one in stored] == [40, 40, 40, 40, 2, 36]
    path = sp.write(runs, tmp_path / "runs.nc")
    sp.validate(path)
    with sp.open(path) as again, xr.open_dataset(path) as plain:
        assert coordinates.stored_partitions(again) == stored
        assert json.loads(plain["definition"].attrs["labels"]).popitem()[1]
        xr.testing.assert_identical(again.load(), runs)
        part = again.isel(partition=[2, 5])
        assert coordinates.stored_partitions(part) == [stored[2], stored[5]]
        sp.write(part, tmp_path / "part.nc")
    profiles = sp.entropy(runs, progress=False)
    assert coordinates.stored_partitions(profiles) == stored
    assert "not class 0: class 1, class 2" in sp.archive.describe(path)


def test_what_earlier_versions_wrote_opens_and_joins(runs: xr.Dataset) -> None:
    old = spelled_out(runs)
    assert max(map(len, old["definition"].values)) > 5 * max(map(len, runs["definition"].values)) / 4
    migrated = sp.schema.migrate(old)
    assert coordinates.stored_partitions(migrated) == coordinates.stored_partitions(runs)
    xr.testing.assert_equal(migrated["definition"], runs["definition"])
    profiles = sp.entropy(runs, progress=False)
    beside = spelled_out(profiles)
    beside = beside.assign_coords(estimator=[f"{name} of old" for name in beside["estimator"].values])
    joined = sp.combine([beside, profiles], along="estimator")
    assert coordinates.stored_partitions(joined) == coordinates.stored_partitions(runs)
    halves = [profiles.isel(partition=slice(3)), profiles.isel(partition=slice(3, None))]
    assert coordinates.stored_partitions(sp.combine(halves, along="partition")) == coordinates.stored_partitions(runs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: "", "restore the attribute 'labels'"),
        (lambda labels: "[]", "not the JSON text of lists"),
        (lambda labels: '{"00": 3}', "not the JSON text of lists"),
        (lambda labels: labels.replace("class 7", "class x"), "not those that it stands for"),
        (lambda labels: labels.replace('"class 7", ', ""), "not those that it stands for"),
    ],
)
def test_labels_that_do_not_fit_are_refused(runs: xr.Dataset, change, message: str, tmp_path) -> None:
    attributes = runs["definition"].attrs
    bad = runs.assign_coords(definition=runs["definition"].assign_attrs(labels=change(attributes["labels"])))
    with pytest.raises(ArchiveError, match=message):
        sp.write(bad, tmp_path / "bad.nc")


@pytest.mark.parametrize(
    "sides",
    [
        [["a", ["stranger"]], ["b", {"rest_of": "DIGEST"}]],
        [["a", LABELS], ["b", {"rest_of": "DIGEST"}]],
        [["a", {"rest_of": "DIGEST"}], ["b", {"rest_of": "DIGEST"}]],
        [["a", ["class 1"]], ["b", {"rest_of": 7}]],
        [["a", ["class 1"]], ["b", {"each_of": "DIGEST"}]],
        [["a", ["class 1"]], ["b", {}]],
        {"rest_of": "DIGEST"},
        {"each_of": ["DIGEST"]},
        {},
    ],
)
def test_references_that_make_no_partition_are_refused(sides) -> None:
    _, labels = definitions.to_texts([sp.Partition.full(LABELS)])
    digest = next(iter(json.loads(labels)))
    text = json.dumps({"name": "bad", "sides": sides, "prior": None}).replace("DIGEST", digest)
    for read in (lambda: definitions.outline(text, labels), lambda: definitions.from_texts([text], labels)):
        with pytest.raises(PartitionError):
            read()


def test_a_small_file_cannot_ask_for_many_labels() -> None:
    names = [f"c{i}" for i in range(20_000)]
    text, labels = definitions.to_texts([sp.Partition.full(names)])
    assert definitions.outline(text[0], labels) == ("full", 20_000)
    texts = [text[0].replace("full", f"p{i}") for i in range(1501)]
    with pytest.raises(PartitionError, match="more than 30000000 labels"):
        definitions.from_texts(texts, labels)


@pytest.mark.parametrize("record", ["statistics", "trajectories"])
def test_run_folders_keep_them(record: str, tmp_path) -> None:
    mix = sp.exact.GaussianMixture(np.arange(40.0)[:, None], labels=LABELS)
    partitions = [sp.Partition.full(LABELS), *(sp.Partition.one_vs_rest(label, LABELS) for label in LABELS[:2])]
    plan = sp.Plan(sp.models.mixture(mix), SCHEDULE, GRID, 25, partitions=partitions, record=record)
    sp.run(plan, tmp_path / "run", progress=False)
    with sp.open(tmp_path / "run") as runs:
        assert coordinates.stored_partitions(runs) == partitions
    sp.validate(tmp_path / "run")
