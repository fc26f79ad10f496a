"""What `u_turn` refuses, before anything is sampled."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.errors import SpecentError

MIX = sp.exact.GaussianMixture([[-8.0], [0.0], [8.0]], labels=["a", "b", "c"])


class Bare(sp.models.Model):
    """A model without a null condition that is no distribution of data."""

    def __init__(self) -> None:
        super().__init__(["a", "b", "c"], (1,), null=False)

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "bare"}

    def to(self, device: torch.device) -> "Bare":
        return self

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        return x / (1 + sigma**2)


def turn(model: Any = None, **options: Any) -> Any:
    chosen = {
        "schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(16), "levels": [2.0], "samples": 4, "steps": 4,
        "replicates": 50, "progress": False, **options,
    }  # fmt: skip
    return sp.u_turn(sp.models.mixture(MIX) if model is None else model, **chosen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mover": "nobody"}, "mover='nobody' is not one of null, mixture, class"),
        ({"mover": ()}, "mover"),
        ({"mover": ("null", "null")}, "none twice"),
        ({"mover": "null", "partition": "a|b"}, "mover='null' moves to all labels"),
        ({"mover": "null", "partition": "a|rest"}, "weighs them otherwise"),
        ({"levels": [1000.0]}, "levels: 1000.0 is outside the grid"),
        ({"levels": [0.002]}, "outside the grid"),
        ({"levels": [-1.0]}, "outside the grid"),
        ({"levels": [np.nan]}, "outside the grid"),
        ({"levels": []}, "levels"),
        ({"levels": [2.0, 2.0]}, "different times"),
        ({"steps": 1}, "steps=1 must be a whole number"),
        ({"steps": (8, 8)}, "none twice"),
        ({"steps": ()}, "steps"),
        ({"steps": "8"}, "steps"),
        ({"samples": 1}, "samples"),
        ({"start": "noise"}, "start"),
        ({"continuation": "ddim"}, "not one of chain, basin"),
        ({"continuation": "basin", "steps": (4, 8)}, "not extrapolated"),
        ({"continuation": "basin", "classifier": "path"}, "no likelihood"),
        ({"partition": "a|null"}, "null"),
        ({"data": "digits"}, "data"),
        ({"data": sp.models.mixture(sp.exact.GaussianMixture([[1.0], [2.0]]))}, "labels"),
        ({"classifier": "best"}, "classifier"),
        ({"classifier": 3}, "classifier=3 cannot be called"),
        ({"classifier": lambda x: np.ones((len(x), 3)) / 3}, "confusion is missing"),
        ({"confusion": np.eye(3)}, "leave it out"),
        ({"replicates": 3}, "replicates"),
        ({"confidence": 2}, "confidence"),
        ({"device": "abacus"}, "device"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        turn(**options)


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        (np.eye(2), r"shape \(2, 2\); it must be \(3, 3\)"),
        (np.full((3, 3), 1 / 3), "singular"),
        (2 * np.eye(3), "not stochastic"),
        ([[1.5, -0.5, 0.0], [0, 1, 0], [0, 0, 1]], "not stochastic"),
        (np.full((3, 3), np.nan), "not stochastic"),
    ],
)
def test_a_confusion_that_cannot_be_taken_out_is_refused(confusion: Any, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        turn(classifier=lambda x: np.ones((len(x), 3)) / 3, confusion=confusion)


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (lambda x: np.ones((len(x), 2)) / 2, r"returned shape \(12, 2\)"),
        (lambda x: np.ones(3), "returned shape"),
        (lambda x: np.ones((len(x), 3)), "no probabilities"),
        (lambda x: 1 / 0, "classifier raised"),
    ],
)
def test_a_classifier_of_another_shape_is_refused(classifier: Any, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        turn(classifier=classifier, confusion=np.eye(3))


def test_a_classifier_without_an_answer_and_endless_data_are_refused() -> None:
    class Silent:
        def classify(self, x: Tensor) -> None:
            return None

    with pytest.raises(SpecentError, match="what classify returned=None"):
        turn(classifier=Silent(), confusion=np.eye(3))
    with pytest.raises(SpecentError, match="confusion_samples"):
        turn(classifier=lambda x: np.ones((len(x), 3)) / 3, confusion=np.eye(3), confusion_samples=1e308)


def test_labels_that_the_partition_does_not_cover_are_refused() -> None:
    class Other:
        def classify(self, x: Tensor) -> list[str]:
            return ["z"] * len(x)

    with pytest.raises(SpecentError, match="among them 'z'"):
        turn(classifier=Other(), confusion=np.eye(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mover": "null"}, "no null condition"),
        ({}, "start='data' noises data, and the model is a network"),
        ({"start": "trunk", "classifier": "posterior"}, "needs the distribution of the data"),
        ({"start": "trunk", "continuation": "basin", "classifier": lambda x: x}, "no posterior to mix by"),
    ],
)
def test_what_a_model_lacks_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        turn(Bare(), **options)


def test_more_steps_than_whole_times_are_refused() -> None:
    schedule = sp.schedules.DDPM("linear")
    with pytest.raises(SpecentError, match="steps=64 is more than the times"):
        turn(schedule=schedule, time=schedule.grid(16), levels=[0.2], steps=64)


def test_a_network_that_returns_a_nan_is_named_with_its_step() -> None:
    class Broken(Bare):
        def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
            return x * torch.nan if sigma < 1 else x / (1 + sigma**2)

    with pytest.raises(SpecentError, match="NaN or an infinity at step"):
        turn(Broken(), start="trunk")
