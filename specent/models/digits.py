"""The shipped model of real images: the 8 x 8 handwritten digits that scikit-learn carries.

The data are 1797 images of ten classes (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998), pixel values
0 .. 16 mapped linearly to -1 .. 1. The checkpoint is written by ``specent run train_digits``.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentError
from specent.files import shipped_folder
from specent.models.checkpoint import load_checkpoint, read_card
from specent.models.network import EDMNetwork, PerceptronModel

NAME = "digits.safetensors"


def digits_data() -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """The handwritten digits of scikit-learn, scaled to -1 .. 1.

    Returns
    -------
    images : ndarray, shape (1797, 1, 8, 8)
    labels : ndarray of str, shape (1797,)

    Raises
    ------
    SpecentError
        If scikit-learn is not installed.

    Examples
    --------
    >>> digits_data()[0].shape
    (1797, 1, 8, 8)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SpecentError("the digits come with scikit-learn: pip install scikit-learn") from error
    data = load_digits()
    images = np.asarray(data.images, dtype=np.float64)[:, None] / 8.0 - 1.0
    return images, np.asarray(data.target).astype(str)


def digits(path: str | Path | None = None) -> PerceptronModel:
    """The trained class-conditional model of the handwritten digits.

    Parameters
    ----------
    path : str or Path, optional
        A checkpoint written by ``specent run train_digits``; the shipped one by default. Its card, of the same name
        ending in ``.json``, must lie beside it.

    Returns
    -------
    PerceptronModel
        With the labels "0" .. "9", samples of shape (1, 8, 8) in -1 .. 1, and a trained null condition.

    Raises
    ------
    ModelError
        If the checkpoint or its card is missing, damaged or does not fit.

    Examples
    --------
    >>> digits().labels
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    file = shipped_folder("datasets") / NAME if path is None else _file(path)
    card = read_card(file)
    if not file.is_file():
        raise ModelError(f"checkpoint {file} cannot be read: there is no such file beside its card")
    try:
        settings = arguments.instance(card["settings"], dict, "settings", "give a JSON object", error=ModelError)
        fields = _Fields(
            labels=arguments.names(card["labels"], "labels", error=ModelError),
            shape=arguments.shape(card["shape"], error=ModelError),
            prior=arguments.array(card["label_prior"], "label_prior", error=ModelError),
            sigma_data=arguments.number(card["sigma_data"], "sigma_data", above=0, error=ModelError),
            width=arguments.whole(settings["width"], "settings.width", least=1, error=ModelError),
            blocks=arguments.whole(settings["blocks"], "settings.blocks", least=1, error=ModelError),
            embedding=arguments.whole(settings["embedding"], "settings.embedding", least=2, error=ModelError),
        )
        identity = {
            "name": arguments.name(card.get("name", file.stem), "name", error=ModelError),
            "checkpoint_sha256": card["sha256"],
            "settings": settings,
        }
        model = PerceptronModel(_network(fields, file), fields.labels, fields.shape, fields.prior, identity)
    except KeyError as error:
        raise ModelError(f"the card of {file} lacks {error}; train the model again") from error
    except ModelError as error:
        raise ModelError(f"the card of {file} does not serve: {error}; train the model again") from error
    load_checkpoint(model.net, file, card["sha256"])
    return model


@dataclass(frozen=True)
class _Fields:
    """What a card says of its network."""

    labels: tuple[str, ...]
    shape: tuple[int, ...]
    prior: NDArray[np.float64]
    sigma_data: float
    width: int
    blocks: int
    embedding: int


def _file(path: object) -> Path:
    """The path of a checkpoint, if it can be one."""
    hint = "pass the path of a checkpoint, ending in .safetensors"
    if not isinstance(path, (str, os.PathLike)):
        raise ModelError(f"path={brief(path)} is a {type(path).__name__}; {hint}")
    file = Path(path)
    if not file.name or "\0" in str(file) or os.path.isdir(file):
        raise ModelError(f"path={str(path)!r} names no file; {hint}")
    return file


def _network(fields: _Fields, file: Path) -> EDMNetwork:
    """The network of the card, built only if its weights can be in the file at all."""
    width, blocks, embedding, pixels = fields.width, fields.blocks, fields.embedding, math.prod(fields.shape)
    weights = 2 * (embedding**2 + embedding * width * blocks + blocks * width**2 + pixels * width)
    size = file.stat().st_size
    if 4 * weights > size:
        raise ModelError(
            f"shape={list(fields.shape)}, settings.width={width}, settings.blocks={blocks} and "
            f"settings.embedding={embedding} make {weights} weights, more than the {size} bytes of the file hold"
        )
    return EDMNetwork(pixels, len(fields.labels), width, blocks, embedding, fields.sigma_data)
