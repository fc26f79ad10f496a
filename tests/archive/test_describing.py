from __future__ import annotations

import pytest

import specent.archive as archive
from specent.errors import ArchiveError, SpecentError
from specent.partitions import Partition
from specent.schema import with_settings


def test_the_summary_names_everything_there_is(any_dataset, tmp_path):
    path = archive.write(any_dataset, tmp_path / "a.nc")
    text = archive.describe(path)
    kind = any_dataset.attrs["specent_kind"]
    assert text.startswith(f"{kind}: random {kind}\n  a.nc, ")
    for name, array in any_dataset.data_vars.items():
        assert f"{name} ({', '.join(array.dims)}) {array.dtype} [{array.attrs['units']}]\n" in text
        assert array.attrs["long_name"] in text
    for dim, size in any_dataset.sizes.items():
        assert [str(dim), str(size)] in [line.split()[:2] for line in text.splitlines()]
    for name in set(any_dataset.attrs) - {"settings", "versions", "history", "title", "specent_kind"}:
        assert f"\n  {name} " in text
    assert any_dataset.attrs["history"] in text
    listed = "full             cat: cat | dög: dög | red car: red car (prior: label priors)" in text
    assert listed == ("partition" in any_dataset.dims)
    assert ("w = 2 for 0.5 < sigma/alpha <= 5" in text) == ("guidance" in any_dataset.dims)
    assert "xarray" in text


def test_a_dataset_is_described_as_its_file_but_for_the_size(any_dataset, tmp_path):
    path = archive.write(any_dataset, tmp_path / "a.nc")
    first, second = (archive.describe(what).splitlines() for what in (any_dataset, str(path)))
    assert first[1].endswith("in memory")
    assert (first[0], first[2:]) == (second[0], second[2:])


def test_lines_stay_short_and_few_with_many_labels_and_partitions(make_dataset):
    labels = [f"label number {i}" for i in range(1000)]
    partitions = [Partition.one_vs_rest(label, labels) for label in labels[:100]]
    dataset = make_dataset("scaling").isel(partition=[0] * len(partitions))
    dataset = dataset.assign_coords(
        partition=("partition", [partition.name for partition in partitions], dataset["partition"].attrs),
        definition=("partition", [partition.to_json() for partition in partitions], dataset["definition"].attrs),
    )
    lines = archive.describe(dataset).splitlines()
    assert max(map(len, lines)) < 180
    assert len(lines) < 80
    assert "  ... (100 in all)" in lines


def test_what_is_not_of_the_contract_is_not_described(make_dataset):
    with pytest.raises(SpecentError, match="dataset_or_path=3 is a int"):
        archive.describe(3)
    dataset = make_dataset("scaling")
    del dataset.attrs["law"]
    with pytest.raises(ArchiveError, match="'law' is missing"):
        archive.describe(dataset)


HOSTILE = "\x1b[2J\x07\r\x9b31m\u202e\u200b\ufeff"


def test_text_of_a_file_is_shown_in_visible_letters(make_dataset, tmp_path):
    dataset = make_dataset("scaling").assign_attrs(title=HOSTILE, note=f"a{HOSTILE}", history=f"{HOSTILE}\nlater")
    dataset = with_settings(dataset, **{HOSTILE: HOSTILE})
    names = dataset["estimator"].values.astype(object)
    names[0] = HOSTILE
    dataset = dataset.assign_coords(estimator=("estimator", names.astype(str), dataset["estimator"].attrs))
    text = archive.describe(archive.write(dataset, tmp_path / "a.nc"))
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.startswith(r"scaling: \x1b[2J\x07\r\x9b31m\u202e\u200b\ufeff" + "\n")
    assert text.count(r"\u202e") == 6


def test_a_summary_stays_short_whatever_the_file_holds(make_dataset):
    dataset = with_settings(make_dataset("scaling"), **{f"key {i}": "x" * 1000 for i in range(5000)})
    dataset = dataset.assign_attrs({f"note{i}": i for i in range(5000)}, history="line\n" * 5000, title="x" * 10**6)
    lines = archive.describe(dataset).splitlines()
    assert len(lines) < 1000
    assert max(map(len, lines)) < 1100
