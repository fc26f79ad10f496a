"""Partitions: priors, weights, text forms, and one clear error for each way to contradict oneself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specent.errors import PartitionError
from specent.partitions import Partition, parse_all

LABELS = ("cat", "dog", "car", "bus")
PRIOR = (0.1, 0.2, 0.3, 0.4)


def test_a_pair_has_equal_sides_whatever_the_label_prior() -> None:
    weights = Partition.pair("dog", "bus").weights(LABELS, PRIOR)
    np.testing.assert_allclose(weights, [[0, 0.5, 0, 0], [0, 0, 0, 0.5]])


def test_one_against_the_rest_has_equal_sides_and_shares_the_rest_by_prior() -> None:
    partition = Partition.one_vs_rest("cat", LABELS)
    assert partition.side_names == ("cat", "not cat")
    np.testing.assert_allclose(partition.weights(LABELS, PRIOR), [[0.5, 0, 0, 0], [0, 1 / 9, 1.5 / 9, 2 / 9]])


def test_full_and_groups_follow_the_label_prior() -> None:
    np.testing.assert_allclose(Partition.full(LABELS).weights(LABELS, PRIOR), np.diag(PRIOR))
    grouped = Partition.groups({"animal": ["cat", "dog"], "vehicle": ["bus"]})
    np.testing.assert_allclose(grouped.weights(LABELS, PRIOR), [[1 / 7, 2 / 7, 0, 0], [0, 0, 0, 4 / 7]])
    assert not grouped.covers(LABELS)
    assert Partition.full(LABELS).covers(LABELS)


def test_a_prior_that_was_set_is_kept_and_a_pair_can_give_it_up() -> None:
    skewed = Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car", "bus"]}, prior=(0.9, 0.1))
    np.testing.assert_allclose(skewed.weights(LABELS, PRIOR).sum(axis=1), [0.9, 0.1])
    free = Partition.pair("cat", "car", prior=None).weights(LABELS, PRIOR)
    np.testing.assert_allclose(free.sum(axis=1), [0.25, 0.75])
    assert Partition.full(("a", "b"), (0.3, 0.7)).prior == (0.3, 0.7)


def test_labels_are_uniform_without_a_prior() -> None:
    weights = Partition.groups({"a": ["cat"], "b": ["dog", "car", "bus"]}).weights(LABELS)
    np.testing.assert_allclose(weights.sum(axis=1), [0.25, 0.75])


@given(
    sizes=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    numbers=st.lists(st.floats(0.01, 1.0), min_size=12, max_size=12),
    fixed=st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_weights_are_a_distribution_that_keeps_the_priors_within_sides(
    sizes: list[int], numbers: list[float], fixed: bool
) -> None:
    labels = [f"label {i}" for i in range(12)]
    prior = np.array(numbers) / np.sum(numbers)
    ends = np.cumsum([0, *sizes])
    sides = {f"side {i}": labels[ends[i] : ends[i + 1]] for i in range(len(sizes))}
    share = np.array(numbers[: len(sizes)]) / np.sum(numbers[: len(sizes)])
    weights = Partition.groups(sides, prior=share.tolist() if fixed else None).weights(labels, prior)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    for i in range(len(sizes)):
        inside = slice(ends[i], ends[i + 1])
        np.testing.assert_allclose(weights[i, inside] / weights[i].sum(), prior[inside] / prior[inside].sum())
        assert weights[i].sum() == pytest.approx(weights[i, inside].sum())
        if fixed:
            assert weights[i].sum() == pytest.approx(share[i])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("full", Partition.full(LABELS)),
        (" cat | dog ", Partition.pair("cat", "dog")),
        ("cat|rest", Partition.one_vs_rest("cat", LABELS)),
        ("cat,dog|car, bus", Partition.groups({"cat+dog": ["cat", "dog"], "car+bus": ["car", "bus"]})),
        ("cat|dog|car", Partition.groups({"cat": ["cat"], "dog": ["dog"], "car": ["car"]})),
    ],
)
def test_partitions_are_read_from_text(text: str, expected: Partition) -> None:
    assert Partition.parse(text, LABELS) == expected


def test_a_label_called_rest_is_taken_at_its_word() -> None:
    assert Partition.parse("cat|rest", ("cat", "rest", "dog")) == Partition.pair("cat", "rest")


@pytest.mark.parametrize(
    "partition",
    [
        Partition.full(LABELS),
        Partition.pair("dög", 'a "quoted" | label'),
        Partition.one_vs_rest("cat", LABELS, prior=None),
        Partition.groups({"x": ["cat"], "y": ["dog"]}, prior=(0.25, 0.75), name="named"),
    ],
)
def test_json_round_trip_keeps_the_partition(partition: Partition) -> None:
    again = Partition.from_json(partition.to_json())
    assert again == partition
    assert hash(again) == hash(partition)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        "[" * 100_000,
        None,
    ],
)
def test_text_that_is_no_definition_is_refused(text: str) -> None:
    with pytest.raises(PartitionError, match="not the JSON definition") as caught:
        Partition.from_json(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"name": "a", "sides": [["a"]], "prior": null}', "must be pairs"),
        ('{"name": "a", "sides": 3, "prior": null}', "must be pairs"),
        ('{"name": "a", "sides": ["xy", "zw"], "prior": null}', "list of names, not one str"),
        ('{"name": "a", "sides": [["a", ["a"]], ["b", ["b"]]], "prior": ["x", "y"]}', "prior="),
        ('{"name": 5, "sides": [["a", ["a"]], ["b", ["b"]]], "prior": null}', "partition name=5"),
    ],
)
def test_a_definition_of_wrong_types_says_which(text: str, named: str) -> None:
    with pytest.raises(PartitionError, match=named):
        Partition.from_json(text)


def test_a_definition_that_contradicts_itself_says_how() -> None:
    text = json.dumps({"name": "odd", "sides": [["a", ["x"]], ["b", ["x"]]], "prior": None})
    with pytest.raises(PartitionError, match=r"'x' .* stands twice"):
        Partition.from_json(text)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"a": ["cat"]}, "1 side"),
        ({}, "0 side"),
        ({"a": ["cat"], "b": []}, "side 'b' is empty"),
        ({"a": ["cat"], "b": ["cat"]}, "'cat' .* stands twice"),
        ({"a": ["cat", "cat"], "b": ["dog"]}, "'cat' .* stands twice"),
        ({"a": "cat", "b": ["dog"]}, "list of names, not one str"),
    ],
)
def test_sides_that_make_no_partition_are_refused(sides: dict[str, list[str]], message: str) -> None:
    with pytest.raises(PartitionError, match=message):
        Partition.groups(sides)


def test_sides_named_alike_are_refused() -> None:
    with pytest.raises(PartitionError, match="two sides alike"):
        Partition("odd", (("a", ("x",)), ("a", ("y",))))


@pytest.mark.parametrize("prior", [(0.5, 0.6), (1.0, 0.0), (1.5, -0.5), (0.5, np.nan), (1.0,), (0.2, 0.3, 0.5)])
def test_a_prior_must_be_a_distribution_over_the_sides(prior: tuple[float, ...]) -> None:
    with pytest.raises(PartitionError, match="prior="):
        Partition.pair("cat", "dog", prior=prior)


def test_unknown_labels_are_named_with_the_known_ones() -> None:
    for make in (
        lambda: Partition.pair("cat", "cow").weights(LABELS),
        lambda: Partition.pair("cat", "cow").check(LABELS),
        lambda: Partition.one_vs_rest("cow", LABELS),
        lambda: Partition.parse("cat|cow", LABELS),
    ):
        with pytest.raises(PartitionError, match=r"'cow'.*'cat', 'dog', 'car', 'bus'"):
            make()
    with pytest.raises(PartitionError, match=r"\(40 in all\)"):
        Partition.pair("a", "b").check([str(i) for i in range(40)])


@pytest.mark.parametrize("prior", [(0.5, 0.5), (0.1, 0.2, 0.3, -0.4), (0.1, 0.2, 0.3, np.nan), (0.1, 0.2, 0.3, np.inf)])
def test_a_label_prior_must_hold_a_number_per_label(prior: tuple[float, ...]) -> None:
    with pytest.raises(PartitionError, match="label_prior="):
        Partition.full(LABELS).weights(LABELS, prior)


def test_a_side_without_weight_is_named() -> None:
    with pytest.raises(PartitionError, match="side 'dog' have no prior weight"):
        Partition.pair("cat", "dog").weights(LABELS, (0.5, 0.0, 0.25, 0.25))


@pytest.mark.parametrize("text", ["", "cat", "cat|", "|", "cat,dog", "cat|cat"])
def test_text_with_less_than_two_sides_is_refused(text: str) -> None:
    with pytest.raises(PartitionError):
        Partition.parse(text, LABELS)


SIDES = (("a", ("x",)), ("b", ("y",)))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Partition(5, SIDES), "partition name=5 is a int"),  # type: ignore[arg-type]
        (lambda: Partition(b"q", SIDES), "partition name=b'q'"),  # type: ignore[arg-type]
        (lambda: Partition("", SIDES), "partition name=''"),
        (lambda: Partition("a\x00b", SIDES), "printable"),
        (lambda: Partition("a\nb", SIDES), "printable"),
        (lambda: Partition("q", None), "sides=None must be pairs"),  # type: ignore[arg-type]
        (lambda: Partition("q", (("a", "xy"), ("b", ("z",)))), "list of names, not one str"),  # type: ignore[arg-type]
        (lambda: Partition("q", (("a", (None,)), ("b", ("z",)))), "None must be a name"),  # type: ignore[arg-type]
        (lambda: Partition("q", SIDES, "ab"), "prior="),  # type: ignore[arg-type]
        (lambda: Partition.pair(None, "b"), "a=None must be a name"),  # type: ignore[arg-type]
        (lambda: Partition.pair("a", "b\n"), "b='b.*n' must be a name"),
        (lambda: Partition.pair("a", "b", prior=0.5), "prior=0.5"),  # type: ignore[arg-type]
        (lambda: Partition.pair("a", "b", prior=[[0.5, 0.5]]), "prior="),  # type: ignore[list-item]
        (lambda: Partition.pair("a", "b", prior=[0.5, 0.5j]), "real numbers"),  # type: ignore[list-item]
        (lambda: Partition.full("abc"), "labels='abc' must be a list of names"),
        (lambda: Partition.full(None), "labels=None"),  # type: ignore[arg-type]
        (lambda: Partition.full([0.5, 1.5]), r"labels\[0\]=0.5"),  # type: ignore[list-item]
        (lambda: Partition.full([True, False]), r"labels\[0\]=True"),  # type: ignore[list-item]
        (lambda: Partition.full([np.datetime64("2020"), "b"]), r"labels\[0\]="),  # type: ignore[list-item]
        (lambda: Partition.one_vs_rest("a", "abc"), "labels='abc'"),
        (lambda: Partition.groups([["a"], ["b"]]), "give a mapping"),  # type: ignore[arg-type]
        (lambda: Partition.groups({"a": None, "b": ["c"]}), "side 'a'=None"),  # type: ignore[dict-item]
        (lambda: Partition.groups({"a": ["x"], "b": ["y"]}, name=3), "partition name=3"),  # type: ignore[arg-type]
        (lambda: Partition.parse(None, LABELS), "partition=None"),  # type: ignore[arg-type]
        (lambda: Partition.parse("a|b", "abc"), "labels='abc'"),
        (lambda: Partition.pair("a", "b").check("abc"), "labels='abc'"),
        (lambda: Partition.pair("a", "b").covers("ab"), "labels='ab'"),
        (lambda: Partition.pair("a", "b").weights(["a", "b"], "xy"), "label_prior='xy'"),
        (lambda: Partition.pair("a", "b").weights(["a", "b"], np.ma.masked_invalid([1.0, np.nan])), "masked"),
    ],
)
def test_what_is_no_name_or_number_is_refused_in_one_line(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(PartitionError, match=named) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("labels", [["1", "1"], [1, "1"], ["a", "b", "a"]])
def test_a_label_given_twice_is_named_whatever_builds_the_partition(labels: list[str]) -> None:
    with pytest.raises(PartitionError, match=rf"'full': label '{labels[0]}' .* stands twice; name it once"):
        Partition.full(labels)


def test_whole_numbers_arrays_and_lists_become_the_same_partition() -> None:
    texts = Partition.full(["0", "1", "2"])
    for labels in ([0, 1, 2], range(3), np.arange(3), np.array(["0", "1", "2"])):
        assert Partition.full(labels) == texts  # type: ignore[arg-type]
    lists = Partition("q", [["a", ["x"]], ["b", ["y"]]], [0.5, 0.5])  # type: ignore[arg-type]
    assert lists == Partition("q", SIDES, (0.5, 0.5))
    assert hash(lists) == hash(Partition("q", SIDES, (0.5, 0.5)))


# ---- many labels


class Counted(str):
    """A label that counts how often it is compared with another text."""

    __slots__ = ()
    comparisons: ClassVar[int] = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str.__eq__(self, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", ["check", "covers", "weights"])
def test_what_a_partition_does_compares_every_label_a_few_times_only(operation: str) -> None:
    labels = [f"label {i}" for i in range(500)]
    partition = Partition.one_vs_rest(labels[-1], labels)
    counted = tuple((name, tuple(Counted(label) for label in side)) for name, side in partition.sides)
    object.__setattr__(partition, "sides", counted)
    Counted.comparisons = 0
    getattr(partition, operation)(labels)
    # a search through the list for each label would be 125 000 comparisons
    assert Counted.comparisons <= 4 * len(labels)


def test_a_thousand_partitions_of_a_thousand_labels_are_read_in_linear_time() -> None:
    labels = [f"label {i}" for i in range(1000)]

    def seconds(count: int) -> float:
        start = time.process_time()
        parse_all([f"{label}|rest" for label in labels[:100]], labels[:count])
        return time.process_time() - start

    # ten times the labels: 10 times the work if it is linear, 100 times if it is quadratic
    assert min(seconds(1000) for _ in range(3)) < 40 * min(seconds(100) for _ in range(3))
    assert len(parse_all([f"{label}|rest" for label in labels], labels)) == 1000


def test_priors_too_small_to_divide_by_are_refused() -> None:
    with pytest.raises(PartitionError, match="0 or between 1e-100 and 1e100"):
        Partition.pair("a", "b").weights(["a", "b"], [1e-320, 1])
