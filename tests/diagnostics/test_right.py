"""Right adapters pass: nothing that a right one does may be called wrong."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule

LINEAR = DDPM("linear")


def complaints(report: Any) -> list[str]:
    """What a report complains about."""
    return [str(line) for line in report if line.verdict in ("warn", "fail")]


@pytest.mark.parametrize(
    ("prediction", "schedule", "seed"),
    [("noise", LINEAR, 0), ("v", DDPM("scaled_linear"), 1), ("score", VE(), 2), ("data", VE(), 0),
     ("velocity", FlowMatching(), 1), ("v", VP(), 2), ("velocity", DDPM("cosine"), 0)],
    ids=str,
)  # fmt: skip
def test_an_exact_data_set_disguised_as_a_network_passes(
    shop: Any, digits: Any, prediction: str, schedule: Schedule, seed: int
) -> None:
    exact = digits[0]
    net = shop.disguise(exact, prediction, schedule)
    model = shop.adapted(net, exact, prediction, schedule, integer_times=isinstance(schedule, DDPM))
    report = shop.check(model, digits, seed=seed, samples=100)
    assert report.ok
    assert complaints(report) == []
    # of 200 images, all but what depends weakly on the state can be settled
    passed = {line.name for line in report if line.verdict == "pass"}
    assert passed >= {"finite", "clean end", "noisy end", "repeatable", "batches", "denoising", "prediction", "labels",
                      "condition", "null", "null error", "self-test"}  # fmt: skip


# every prediction on two of the four schedules
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("prediction", "number"), [("noise", 0), ("v", 1), ("score", 2), ("data", 3), ("velocity", 0)])
def test_a_mixture_disguised_as_a_network_passes(
    shop: Any, mixture: Any, prediction: str, number: int, seed: int
) -> None:
    exact = mixture[0]
    schedule = [LINEAR, VE(), FlowMatching(), VP()][(number + seed) % 4]
    model = shop.adapted(
        shop.disguise(exact, prediction, schedule), exact, prediction, schedule, integer_times=schedule is LINEAR
    )
    assert complaints(shop.check(model, mixture, seed=seed, samples=1000)) == []


@pytest.mark.parametrize(
    "means",
    [[[0.5], [-0.5]], [[30.0, 0.0], [0.0, 50.0], [0.0, 0.0]], [[1e-3, 0.0], [0.0, 1e-3]], [[1.0, 2.0]]],
    ids=str,
)
def test_mixtures_of_any_scale_and_overlap_pass(shop: Any, means: list[list[float]]) -> None:
    scale = float(np.abs(means).max())
    mix = sp.exact.GaussianMixture(means, variance=(0.5 * scale) ** 2)
    generator = np.random.default_rng(3)
    index = generator.integers(len(means), size=1500)
    images = np.array(means)[index] + 0.5 * scale * generator.standard_normal((1500, len(means[0])))
    labels = np.asarray(mix.labels)[index]
    for seed in range(2):
        data = (sp.models.mixture(mix), images, labels)
        assert complaints(shop.check(data[0], data, seed=seed, samples=1000, levels=(0.01 * scale, 60 * scale))) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_network_in_the_coordinates_of_another_schedule_is_not_failed(shop: Any, trained: Any, seed: int) -> None:
    def net(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        alpha, sigma = float(LINEAR.alpha(float(time[0]))), float(LINEAR.sigma(float(time[0])))
        return trained[0].denoise(x / alpha, sigma / alpha, condition)

    report = shop.check(shop.adapted(net, trained[0], "data", LINEAR), trained, seed=seed, samples=300)
    assert report.ok
    # it was hardly trained at so little noise, so that it may be called poor there, but not wrong
    assert {line.name for line in report if line.verdict == "warn"} <= {"time", "null error"}


def test_the_shipped_network_passes_all_but_the_bits_of_its_null_condition(shop: Any, shipped: Any) -> None:
    report = shop.check(shipped[0], shipped, seed=0, samples=1024)
    assert [line.name for line in report if line.verdict != "pass"] == ["null error"]
    assert report["null error"].verdict == "warn"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_data_half_of_the_checks_are_made(shop: Any, trained: Any, seed: int) -> None:
    report = shop.check(trained[0], seed=seed)
    passed = [line.name for line in report if line.verdict in ("pass", "warn")]
    assert passed == ["finite", "clean end", "noisy end", "repeatable", "batches", "precision", "null", "null error",
                      "self-test"]  # fmt: skip
    skipped = [line for line in report if line.verdict == "skip"]
    assert len(passed) + len(skipped) == len(report.lines)
    assert all("--data" in line.hint for line in skipped)


def test_the_label_carries_as_many_bits_as_there_are_in_the_labels() -> None:
    images, labels = sp.models.digits_data()
    exact = sp.models.finite(images, labels, name="digits")
    report = sp.check(exact, images, labels, samples=300, progress=False)
    words = report["condition"].figure.split(" that is ")[1].split()
    bits, error = float(words[0]), float(words[2])
    # every image is in one class, so that over all noise levels it is the entropy of the labels (arXiv cs/0412108)
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    assert abs(bits + float((share * np.log2(share)).sum())) < 4 * error
    assert error < 0.3


def test_times_that_agree_are_said_to_agree(shop: Any, trained: Any) -> None:
    assert shop.check(trained[0], trained, last="time")["time"].figure.startswith("the times agree within")


def test_an_object_that_follows_the_protocol_passes(shop: Any, digits: Any) -> None:
    class Own:
        def __init__(self) -> None:
            self.schedule, self.conditions, self.shape = VE(), list(digits[0].labels), digits[0].shape
            self.null_condition, self.label_prior = True, digits[0].label_prior

        def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            return digits[0].denoise(x, float(t[0]), condition).to(x.dtype)

    assert complaints(shop.check(Own(), digits)) == []


@pytest.mark.parametrize("steps", [False, True])
def test_a_denoiser_of_another_library_passes(shop: Any, digits: Any, steps: bool) -> None:
    table = [torch.as_tensor(of(np.arange(1000))) for of in (LINEAR.alpha, LINEAR.sigma)]

    class Denoiser:
        def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
            if steps:
                alpha, sigma = (column[torch.round(999 * t).long()] for column in table)
                return alpha, sigma
            return 1 - 0.999 * t, 0.001 + 0.999 * t

        def __call__(self, x_t: Tensor, t: Tensor, label: Tensor) -> SimpleNamespace:
            alpha, sigma = (float(part) for part in self.schedule(t))
            return SimpleNamespace(mean=digits[0].denoise(x_t.double() / alpha, sigma / alpha, label).to(x_t.dtype))

    exact = digits[0]
    model = sp.models.foreign(Denoiser(), exact.labels, exact.shape, null=True, label_prior=exact.label_prior)
    assert complaints(shop.check(model, digits)) == []


def test_many_labels_are_tried_in_part_and_pass(shop: Any) -> None:
    generator = np.random.default_rng(1)
    means = generator.standard_normal((40, 32))
    mix = sp.exact.GaussianMixture(means, variance=0.05, labels=[str(i) for i in range(40)])
    index = generator.integers(40, size=1500)
    data = (sp.models.mixture(mix), means[index] + 0.05**0.5 * generator.standard_normal((1500, 32)), index)
    report = shop.check(data[0], data, samples=500)
    assert complaints(report) == []
    assert "on images" in report["null"].figure  # too many to be mixed in a run
    assert (report["null error"].verdict, report["null error"].figure[:28]) == ("skip", "the short run has 6 of 40 la")


def test_a_model_without_a_null_condition_is_not_checked_for_it(shop: Any, mixture: Any) -> None:
    exact = mixture[0]
    net = shop.disguise(exact, "data", VE())
    report = shop.check(shop.adapted(net, exact, "data", VE(), null=False), mixture)
    assert complaints(report) == []
    assert {report[name].verdict for name in ("null", "null error", "condition")} == {"skip"}


@pytest.mark.parametrize("levels", [(1.0, 1.5), (1e-5, 1e-3), (1e-5, 1e5)], ids=str)
def test_any_range_of_noise_levels_may_be_given(shop: Any, trained: Any, levels: tuple[float, float]) -> None:
    report = shop.check(trained[0], trained, levels=levels)
    assert report.ok
    if levels[1] < 2:
        # a run that starts there does not know what its states tell of their label
        assert "wrong" in report["self-test"].cause
        assert "in a run" not in report["null"].figure
        assert "starts too late" in report["null error"].figure


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (2, 1), (3, 2), (20, 0), (20, 1)])
def test_few_images_settle_little_and_fail_nothing(shop: Any, trained: Any, count: int, seed: int) -> None:
    model, images, labels = trained
    assert shop.check(model, (model, images[:count], labels[:count]), seed=seed).ok


def test_images_of_one_class_pass(shop: Any, trained: Any) -> None:
    model, images, labels = trained
    one = labels == "3"
    assert shop.check(model, (model, images[one], labels[one])).ok
