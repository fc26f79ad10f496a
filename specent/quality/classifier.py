"""A small classifier of the handwritten digits, whose inner layer is a feature space for them.

Trained in seconds where it is needed, from a seed, so that no weights have to be shipped. Every fifth image of a class
is held out, and gives the error of the classifier itself.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from specent import arguments
from specent.errors import SpecentError
from specent.models.digits import digits_data
from specent.quality.estimates import Estimate, accuracy

FEATURES = 32
"""Width of the inner layer that serves as feature space."""

_EPOCHS, _BATCH, _RATE, _NOISE = 40, 64, 2e-3, 0.05


class DigitsClassifier:
    """A trained classifier of the digits; see `digits_classifier`.

    Attributes
    ----------
    labels : tuple of str
        The classes.
    held_out : Estimate
        Accuracy on images it was not trained on.
    identity : dict
        What it is, JSON serialisable, with the SHA-256 of its weights.
    """

    def __init__(self, body: nn.Module, head: nn.Module, labels: tuple[str, ...], seed: int) -> None:
        self._body, self._head, self.labels = body, head, labels
        digest = hashlib.sha256()
        for value in (*body.state_dict().values(), *head.state_dict().values()):
            digest.update(value.numpy().tobytes())
        self.held_out = Estimate(0.0, 0.0, 1.0, 0.0)
        self.identity: dict[str, Any] = {
            "name": "digits_classifier", "features": FEATURES, "seed": seed, "weights_sha256": digest.hexdigest(),
        }  # fmt: skip

    def __call__(self, pictures: Tensor) -> NDArray[np.float64]:
        """Features of pictures.

        Parameters
        ----------
        pictures : Tensor, shape (batch, 1, 8, 8)
            From 0 to 1.

        Returns
        -------
        ndarray, shape (batch, 32)
        """
        with torch.inference_mode():
            features: NDArray[np.float64] = self._body(_check_pictures(pictures)).double().numpy()
        return features

    def classify(self, pictures: Tensor) -> NDArray[np.str_]:
        """The most likely label of every picture, shape (batch,)."""
        with torch.inference_mode():
            index = self._head(self._body(_check_pictures(pictures))).argmax(-1).numpy()
        labels: NDArray[np.str_] = np.asarray(self.labels)[index]
        return labels


def digits_classifier(seed: int = 0) -> DigitsClassifier:
    """Train a small classifier of the 8 x 8 handwritten digits, in a few seconds.

    Parameters
    ----------
    seed : int
        Of weights, order and noise; the same seed gives the same classifier, which is remembered for the next call.

    Returns
    -------
    DigitsClassifier
        Called with pictures of shape (batch, 1, 8, 8) from 0 to 1 it gives their features, shape (batch, 32), the
        activations before the last layer; ``classify`` gives their labels; ``held_out`` is its own accuracy.

    Raises
    ------
    SpecentError
        If the seed is none, or scikit-learn, which carries the digits, is not installed.

    Examples
    --------
    >>> digits_classifier().held_out.value > 0.95
    True
    """
    return _classifier_of_seed(arguments.whole(seed, "seed", most=2**63 - 1))


@lru_cache(maxsize=4)
def _classifier_of_seed(seed: int) -> DigitsClassifier:
    images, names = digits_data()
    labels = tuple(sorted(set(names.tolist())))
    target = torch.tensor([labels.index(name) for name in names])
    pictures = torch.as_tensor((images + 1) / 2, dtype=torch.float32)
    test = _every_fifth(target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body, head = _network(len(labels))
        _train(nn.Sequential(body, head), pictures[~test], target[~test])
    body.eval()
    classifier = DigitsClassifier(body, head, labels, seed)
    classifier.held_out = accuracy(classifier.classify(pictures[test]), names[test.numpy()])
    classifier.identity["held_out_accuracy"] = classifier.held_out.value
    return classifier


def _every_fifth(target: Tensor) -> Tensor:
    """Every fifth image of every class."""
    rank = torch.zeros_like(target)
    for label in range(int(target.max()) + 1):
        rank[target == label] = torch.arange(int((target == label).sum()))
    return rank % 5 == 4


def _network(classes: int) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, 32, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, FEATURES), nn.SiLU(),
    )  # fmt: skip
    return body, nn.Linear(FEATURES, classes)


def _train(net: nn.Module, pictures: Tensor, target: Tensor) -> None:
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.05)
    count = len(pictures)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _EPOCHS * (count // _BATCH))
    with torch.enable_grad():
        for _ in range(_EPOCHS):
            order = torch.randperm(count)
            for low in range(0, count - _BATCH + 1, _BATCH):
                some = order[low : low + _BATCH]
                noisy = pictures[some] + _NOISE * torch.randn(len(some), *pictures.shape[1:])
                loss = nn.functional.cross_entropy(net(noisy), target[some])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()


def _check_pictures(pictures: Any) -> Tensor:
    """Pictures of digits in single precision."""
    shape = tuple(getattr(pictures, "shape", ()))
    if not isinstance(pictures, Tensor) or len(shape) != 4 or shape[1:] != (1, 8, 8):
        raise SpecentError(f"pictures of shape {shape} are not digits; a tensor of shape (batch, 1, 8, 8) is needed")
    if not (torch.isfinite(pictures).all() and pictures.min() >= 0 and pictures.max() <= 1):
        raise SpecentError(
            f"pictures run from {float(pictures.min()):.3g} to {float(pictures.max()):.3g}; 0 (black) to 1 (white) is "
            "needed, which model.decode(samples) gives"
        )
    return pictures.float().cpu()
