"""What a check is given: arguments are looked at before any network is called."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.diagnostics.labelled_data import LabelledExamples, label_indices, labelled_examples
from specent.errors import SpecentError
from specent.schedules import DDPM

LABELS = ["cat", "dog", "car"]


class Counting:
    """A network that counts its calls."""

    calls = 0

    def __call__(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        self.calls += 1
        return x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "images and labels go together"),
        ({"images": None}, "images and labels go together"),
        ({"images": np.zeros((4, 3))}, r"images has shape \(4, 3\); the model needs \(n, 2\)"),
        ({"images": "many"}, "images="),
        ({"labels": ["cat"] * 3}, "labels has 3 entries for 4 images"),
        ({"labels": ["cat", "dog", "cow", "cat"]}, "labels holds 'cow', which is no label of the model"),
        ({"labels": [0, 1, 2, 3]}, "labels holds '3', which is no label .* indices 0 to 2"),
        ({"labels": ["0", "1", "2", "0"]}, "labels holds '0'"),
        ({"images": np.full((4, 2), np.nan)}, r"images\[0\] holds a NaN"),
        ({"images": np.ones((4, 2))}, "images are all the same"),
        ({"images": np.ones((1, 2)), "labels": ["cat"]}, "images has 1 entries; give at least 2"),
        ({"samples": 1}, "samples=1"),
        ({"seed": -1}, "seed=-1"),
        ({"progress": "no"}, "progress='no'"),
        ({"complete": 1}, "complete=1 must be True or False"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"levels": 3.0}, "levels=3.0"),
        ({"levels": (1.0,)}, "must be the smallest and the largest"),
        ({"levels": (1.0, 0.5)}, r"levels\[1\]=0.5 must be a finite number above 1"),
        ({"levels": (0.001, 10.0)}, "the model knows noise levels from 0.01"),
        ({"model": 3}, "not a model"),
    ],
    ids=str,
)
def test_arguments_are_refused_before_the_network_is_called(change: dict[str, Any], message: str) -> None:
    net = Counting()
    model = sp.models.network(net, LABELS, (2,), prediction="noise", schedule=DDPM("linear"))
    good = {"model": model, "images": np.arange(8.0).reshape(4, 2), "labels": ["cat", "dog", "car", "cat"]}
    with pytest.raises(SpecentError, match=message):
        sp.check(**{**good, "progress": False, **change})
    assert net.calls == 0


def test_labels_may_be_names_or_indices() -> None:
    for labels in (["car", "cat"], [2, 0], np.array([2, 0]), torch.tensor([2, 0]).tolist()):
        assert label_indices(labels, LABELS).tolist() == [2, 0]
    # names first: the digits are called by numbers
    assert label_indices([1, 0], ["1", "0"]).tolist() == [0, 1]


def test_examples_are_taken_in_turn_from_every_class() -> None:
    mix = sp.models.mixture(sp.exact.GaussianMixture([[0.0], [1.0], [2.0]]))
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    examples = labelled_examples(mix, np.arange(100.0)[:, None], labels, 15, seed=0, device=torch.device("cpu"))
    assert torch.bincount(examples.classes).tolist() == [6, 5, 4]
    assert len(set(examples.images[:, 0].tolist())) == 15


def test_the_spectrum_is_that_of_the_covariance() -> None:
    images = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [3, 1, 2]
    )
    examples = LabelledExamples(images, torch.zeros(50, dtype=torch.int64), own=False, seed=0)
    expected = np.linalg.eigvalsh(np.cov(images.numpy().T))[::-1]
    np.testing.assert_allclose(examples.spectrum, expected)
    assert examples.variance == pytest.approx(expected.mean())


def test_noise_is_the_same_for_the_same_stream_alone() -> None:
    examples = LabelledExamples(
        torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, dtype=torch.int64), own=False, seed=5
    )
    assert examples.noisy(2.0, 7).equal(2.0 * examples.noise(7))
    assert not examples.noise(7).equal(examples.noise(8))
