"""Exact models and their data, and networks that they are disguised as, rightly or wrongly adapted."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.diagnostics import Report, model_check
from specent.diagnostics.checks import CHECKS
from specent.diagnostics.examination import report_lines
from specent.models import Model, NetworkModel
from specent.models.network import PerceptronModel
from specent.models.predictions import from_data
from specent.schedules import Schedule

Net = Callable[[Tensor, Tensor, Tensor], Tensor]
Data = tuple[Model, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Disguise:
    """The network that an exact model is disguised as, whatever an adapter says of it.

    It takes states and times of its own schedule; times beyond that are taken at its ends.
    """

    exact: Model
    prediction: str
    schedule: Schedule

    def __call__(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        clipped = float(np.clip(float(time[0]), *self.schedule.time_range))
        alpha, sigma = float(self.schedule.alpha(clipped)), float(self.schedule.sigma(clipped))
        state = x.double()
        data = self.exact.denoise(state / alpha, sigma / alpha, condition)
        return from_data(self.prediction, data, state, alpha, sigma).to(x.dtype)

    def with_times_shifted(self, shift: int) -> Net:
        """The same network, which counts its times otherwise."""
        return lambda x, time, condition: self(x, time + shift, condition)

    def with_conditions(self, order: list[int]) -> Net:
        """The same network, with its conditions in another order."""
        return lambda x, time, condition: self(x, time, torch.tensor(order)[condition])


class RememberedModel(PerceptronModel):
    """A network that is evaluated once on every batch: checks with one seed hand it the same batches many times.

    A copy of it, whose weights may be changed, remembers nothing.
    """

    def __init__(self, model: PerceptronModel) -> None:
        super().__init__(model.net, model.labels, model.shape, model.label_prior, model.identity)
        self.answers: dict[tuple[object, ...], Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> PerceptronModel:
        net = copy.deepcopy(self.net, memo)
        return PerceptronModel(net, self.labels, self.shape, self.label_prior, self.identity)

    def to(self, device: torch.device) -> PerceptronModel:
        return self if device.type == "cpu" else super().to(device)

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        batch = hashlib.sha1(x.contiguous().numpy()).digest()
        key = (batch, x.dtype, sigma, hashlib.sha1(condition.contiguous().numpy()).digest())
        if key not in self.answers:
            self.answers[key] = super().denoise(x, sigma, condition)
        # a copy: whoever asks may work in place on it
        return self.answers[key].clone()

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        return Model.candidates(self, x, sigma, conditions)


class OtherNullModel(RememberedModel):
    """A remembered network with another embedding for its null condition: its labels are answered from memory."""

    def __init__(self, model: RememberedModel, embedding: Tensor) -> None:
        super().__init__(model)
        self.remembered, self.net = model, copy.deepcopy(model.net)
        self.net.embed_class.weight.data[len(model.labels)] = embedding

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        denoised = self.remembered.denoise(x, sigma, condition)
        null = condition == len(self.labels)
        if null.any():
            denoised[null] = super().denoise(x[null], sigma, condition[null])
        return denoised


@dataclass(frozen=True)
class Workshop:
    """How tests make networks, adapt them and check them."""

    disguise: type[Disguise] = Disguise
    with_null: type[OtherNullModel] = OtherNullModel

    def adapted(self, net: Net, exact: Model, prediction: str, schedule: Schedule, **options: Any) -> NetworkModel:
        """An adapter of a network, with the labels and the shape of the exact model."""
        options = {"null": exact.null, "label_prior": exact.label_prior, **options}
        return sp.models.network(net, exact.labels, exact.shape, prediction=prediction, schedule=schedule, **options)

    def check(self, model: Any, data: Data | None = None, *, last: str = "", **options: Any) -> Report:
        """The report on a model, with data or without; as far as the line `last`, if a test looks at no later one."""
        images, labels = (None, None) if data is None else data[1:]
        names = [check.name for check in CHECKS]
        checks = CHECKS[: names.index(last) + 1] if last else CHECKS
        with mock.patch.object(model_check, "report_lines", partial(report_lines, checks=checks)):
            return sp.check(model, images, labels, **{"samples": 120, "progress": False, **options})


@pytest.fixture
def shop() -> Workshop:
    """A workshop."""
    return Workshop()


@pytest.fixture(scope="session")
def digits() -> Data:
    """The first 40 images of five digits as their own exact model, and as data."""
    images, labels = sp.models.digits_data()
    rows = np.concatenate([np.flatnonzero(labels == str(digit))[:40] for digit in range(5)])
    images, labels = images[rows], labels[rows]
    return sp.models.finite(images, labels, name="five digits"), images, labels


@pytest.fixture(scope="session")
def trained() -> Data:
    """The shipped network, which is far from exact, and its data; it remembers what it answered."""
    return (RememberedModel(sp.models.digits()), *sp.models.digits_data())


@pytest.fixture(scope="session")
def shipped(trained: Data) -> Data:
    """The same network as it is shipped, evaluated anew on every call."""
    return (sp.models.digits(), *trained[1:])


@pytest.fixture(scope="session")
def mixture() -> Data:
    """Three unequal Gaussians in four dimensions, and draws of them."""
    means = np.array([[-3.0, 0.0, 0.0, 1.0], [3.0, 1.0, 0.0, 0.0], [0.0, 4.0, 2.0, 0.0]])
    mix = sp.exact.GaussianMixture(means, variance=[0.5, 1.0, 0.3], weights=[0.2, 0.5, 0.3], labels=["a", "b", "c"])
    generator = np.random.default_rng(0)
    index = generator.choice(3, size=2000, p=mix.label_prior)
    images = means[index] + generator.standard_normal((2000, 4)) * np.sqrt(mix.variances)[index, None]
    return sp.models.mixture(mix), images, np.asarray(mix.labels)[index]
