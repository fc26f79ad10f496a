"""The shipped model of real images: the 8 x 8 handwritten digits that scikit-learn carries.

The data are 1797 images of ten classes (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998), pixel values
0 .. 16 mapped linearly to -1 .. 1. The checkpoint is written by ``specent run train_digits``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specent._shipped import folder
from specent.errors import ModelError, SpecentError
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
    file = folder("datasets") / NAME if path is None else Path(path)
    card = read_card(file)
    try:
        labels = [str(label) for label in card["labels"]]
        shape = [int(size) for size in card["shape"]]
        sizes: dict[str, Any] = {key: int(card["settings"][key]) for key in ("width", "blocks", "embedding")}
        net = EDMNetwork(int(np.prod(shape)), len(labels), sigma_data=float(card["sigma_data"]), **sizes)
        prior = [float(value) for value in card["label_prior"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of {file} lacks or garbles {error}; train the model again") from error
    load_checkpoint(net, file, card["sha256"])
    identity = {"name": card.get("name", file.stem), "checkpoint_sha256": card["sha256"], "settings": card["settings"]}
    return PerceptronModel(net, labels, shape, prior, identity)
