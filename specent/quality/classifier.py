"""A small classifier of small grey pictures, whose inner layer is a feature space for them; that of the digits.

Trained in seconds where it is needed, from a seed, so that no weights have to be shipped. Every fifth image of a class
is held out, and gives the error of the classifier itself.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from specent import arguments
from specent.errors import SpecentError
from specent.models.digits import digits_data
from specent.quality.estimates import Estimate, accuracy

FEATURES = 32
"""Width of the inner layer that serves as feature space."""

_EPOCHS, _BATCH, _RATE, _NOISE = 40, 64, 2e-3, 0.05
_LEAST = 5
# the network halves the pictures twice
_FACTOR = 4


class PictureClassifier:
    """A trained classifier of small grey pictures; see `picture_classifier`.

    Attributes
    ----------
    labels : tuple of str
        The classes.
    held_out : Estimate
        Accuracy on images it was not trained on.
    identity : dict
        What it is, JSON serialisable, with the SHA-256 of its weights.
    """

    def __init__(
        self, body: nn.Module, head: nn.Module, labels: tuple[str, ...], shape: tuple[int, ...], name: str, seed: int
    ) -> None:
        self._body, self._head, self.labels, self._shape = body, head, labels, shape
        digest = hashlib.sha256()
        for value in (*body.state_dict().values(), *head.state_dict().values()):
            digest.update(value.numpy().tobytes())
        self.held_out = Estimate(0.0, 0.0, 1.0, 0.0)
        self.identity: dict[str, Any] = {
            "name": name, "features": FEATURES, "seed": seed, "weights_sha256": digest.hexdigest(),
        }  # fmt: skip

    def __call__(self, pictures: Tensor) -> NDArray[np.float64]:
        """Features of pictures.

        Parameters
        ----------
        pictures : Tensor, shape (batch, 1, height, width)
            From 0 to 1.

        Returns
        -------
        ndarray, shape (batch, 32)
        """
        with torch.inference_mode():
            features: NDArray[np.float64] = self._body(_check_pictures(pictures, self._shape)).double().numpy()
        return features

    def classify(self, pictures: Tensor) -> NDArray[np.str_]:
        """The most likely label of every picture, shape (batch,)."""
        with torch.inference_mode():
            index = self._head(self._body(_check_pictures(pictures, self._shape))).argmax(-1).numpy()
        labels: NDArray[np.str_] = np.asarray(self.labels)[index]
        return labels


def digits_classifier(seed: int = 0) -> PictureClassifier:
    """Train a small classifier of the 8 x 8 handwritten digits, in a few seconds.

    Parameters
    ----------
    seed : int
        Of weights, order and noise; the same seed gives the same classifier, which is remembered for the next call.

    Returns
    -------
    PictureClassifier
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
def _classifier_of_seed(seed: int) -> PictureClassifier:
    return picture_classifier(*digits_data(), name="digits_classifier", seed=seed)


def picture_classifier(
    images: ArrayLike, labels: ArrayLike, *, name: str = "picture_classifier", seed: int = 0
) -> PictureClassifier:
    """Train a small classifier of small grey pictures: 40 passes over them, a few seconds for a thousand of 8 x 8.

    Parameters
    ----------
    images : array_like, shape (images, 1, height, width)
        From -1 (black) to 1 (white); height and width are multiples of 4.
    labels : array_like of str, shape (images,)
        The class of each, at least 5 images of every class, of which every fifth is held out.
    name : str
        What it is called in files.
    seed : int
        Of weights, order and noise.

    Returns
    -------
    PictureClassifier
        As of `digits_classifier`, for pictures of shape (batch, 1, height, width).

    Raises
    ------
    SpecentError
        If the images are not such pictures, or a class has too few.

    Examples
    --------
    >>> tones = np.repeat([-0.7, 0.7], 80)
    >>> images = np.random.default_rng(0).normal(0, 0.05, (160, 1, 4, 4)) + tones[:, None, None, None]
    >>> picture_classifier(images, np.where(tones > 0, "bright", "dark")).held_out.value
    1.0
    """
    grey, names = arguments.array(images, "images"), np.asarray(labels).astype(str)
    seed = arguments.whole(seed, "seed", most=2**63 - 1)
    if grey.ndim != 4 or grey.shape[1] != 1 or any(side % _FACTOR or not side for side in grey.shape[2:]):
        raise SpecentError(
            f"images has shape {grey.shape}; (images, 1, height, width) is needed, with sides that are multiples of "
            f"{_FACTOR}"
        )
    if grey.size and not (np.isfinite(grey).all() and np.abs(grey).max() <= 1):
        raise SpecentError(
            f"images run from {grey.min():.3g} to {grey.max():.3g}; -1 (black) to 1 (white) is needed, divide them"
        )
    known, target = np.unique(names, return_inverse=True)
    counts = np.bincount(target)
    if names.shape != grey.shape[:1] or len(known) < 2 or counts.min() < _LEAST or len(names) < 2 * _BATCH:
        raise SpecentError(
            f"labels has shape {names.shape} and {len(known)} classes, of {counts.min() if len(counts) else 0} images "
            f"at least; one label per image is needed, 2 classes, {_LEAST} images of each, and {2 * _BATCH} in all"
        )
    pictures, classes = torch.as_tensor((grey + 1) / 2, dtype=torch.float32), torch.as_tensor(target)
    test = _every_fifth(classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body, head = _network(len(known), grey.shape[2] * grey.shape[3] // _FACTOR**2)
        _train(nn.Sequential(body, head), pictures[~test], classes[~test])
    body.eval()
    classifier = PictureClassifier(body, head, tuple(known.tolist()), grey.shape[1:], name, seed)
    classifier.held_out = accuracy(classifier.classify(pictures[test]), names[test.numpy()])
    classifier.identity["held_out_accuracy"] = classifier.held_out.value
    return classifier


def _every_fifth(target: Tensor) -> Tensor:
    """Every fifth image of every class."""
    rank = torch.zeros_like(target)
    for label in range(int(target.max()) + 1):
        rank[target == label] = torch.arange(int((target == label).sum()))
    return rank % 5 == 4


def _network(classes: int, pixels: int) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, 32, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * pixels, FEATURES), nn.SiLU(),
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


def _check_pictures(pictures: Any, needed: tuple[int, ...]) -> Tensor:
    """Pictures of the shape that the classifier knows, in single precision."""
    shape = tuple(getattr(pictures, "shape", ()))
    if not isinstance(pictures, Tensor) or len(shape) != 4 or shape[1:] != needed:
        raise SpecentError(
            f"pictures of shape {shape} are none that the classifier knows; a tensor of shape "
            f"(batch, {', '.join(map(str, needed))}) is needed"
        )
    if not (torch.isfinite(pictures).all() and pictures.min() >= 0 and pictures.max() <= 1):
        raise SpecentError(
            f"pictures run from {float(pictures.min()):.3g} to {float(pictures.max()):.3g}; 0 (black) to 1 (white) is "
            "needed, which model.decode(samples) gives"
        )
    return pictures.float().cpu()
