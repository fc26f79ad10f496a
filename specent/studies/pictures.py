"""What studies of sample quality sample: small pictures, with their exact denoiser, a network and a feature space.

The digits come with a trained network. A network of the drawn shapes is trained where it is needed, which takes
minutes, and may be kept in a file.
"""

# no postponed annotations: the command line reads those of a parent class in the module of the child
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.files import sha256
from specent.studies.settings import SampledSettings

if TYPE_CHECKING:
    from specent.models import FiniteModel
    from specent.models.base import Model
    from specent.models.network import PerceptronModel
    from specent.quality import PictureClassifier


@dataclass(frozen=True)
class PictureSettings(SampledSettings):
    """Settings of every study of the samples of small pictures.

    Parameters
    ----------
    data : {"digits", "shapes"}
        The handwritten digits, or drawn shapes of 16 x 16 whose 48 classes are the combinations of their attributes.
    network : Path, optional
        Checkpoint of the network. By default that of the digits which ships; one of the shapes is trained in a few
        minutes. Where there is no such file, the network that is trained is written to it, for other studies.
    pictures : int
        How many shapes are drawn, at least 480.
    train_steps : int
        Optimiser steps of a network of the shapes.
    """

    data: Literal["digits", "shapes"] = "digits"
    network: Path | None = None
    pictures: int = 4800
    train_steps: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data not in ("digits", "shapes"):
            raise SpecentError(f"data={self.data!r} must be 'digits' or 'shapes'")
        arguments.whole(self.pictures, "pictures", least=480, most=1_000_000)
        arguments.whole(self.train_steps, "train_steps", least=1, most=10_000_000)


@dataclass(frozen=True)
class StudiedPictures:
    """Small pictures and what is needed to judge samples of them.

    Parameters
    ----------
    settings : PictureSettings
        Which pictures, and where their network is.
    images : ndarray, shape (images, 1, height, width)
        The pictures, from -1 to 1.
    labels : ndarray of str, shape (images,)
        The class of each.
    """

    settings: PictureSettings
    images: NDArray[np.float64]
    labels: NDArray[np.str_]

    @cached_property
    def exact(self) -> "FiniteModel":
        """The exact denoiser of the pictures."""
        from specent import models

        return models.finite(self.images, self.labels, name=self.settings.data)

    @cached_property
    def extractor(self) -> "PictureClassifier":
        """The feature space."""
        from specent import quality

        if self.settings.data == "digits":
            return quality.digits_classifier()
        return quality.picture_classifier(self.images, self.labels, name="shapes_classifier")

    @cached_property
    def network(self) -> "Model":
        """The trained network."""
        from specent import models

        path = self.settings.network
        if self.settings.data == "digits":
            return models.digits(path)
        if path is None or not Path(path).expanduser().exists():
            return self._trained(path)
        model = models.digits(Path(path).expanduser())
        self._check(model)
        return model

    def per_class(self, samples: int) -> int:
        """Samples of each class, so that there are at least so many in all."""
        return -(-samples // len(np.unique(self.labels)))

    def _trained(self, path: Path | None) -> "PerceptronModel":
        """A network of the pictures, written to `path` if there is one."""
        import torch

        from specent.models.checkpoint import checkpoint_path, save_checkpoint
        from specent.models.network import PerceptronModel
        from specent.training.edm import TrainingSettings, train

        # what is in the way is said before the training
        target = None if path is None else checkpoint_path(Path(path).expanduser())
        options = TrainingSettings(steps=self.settings.train_steps, batch=256)
        names, classes = np.unique(self.labels, return_inverse=True)
        flat = torch.as_tensor(self.images.reshape(len(self.images), -1), dtype=torch.float32)
        net = train(flat, torch.as_tensor(classes), options)
        labels, prior = names.tolist(), np.bincount(classes) / len(classes)
        identity = self._identity(asdict(options))
        if target is not None:
            card = {
                **identity, "title": "Class-conditional denoiser of drawn shapes", "labels": labels,
                "label_prior": prior.tolist(), "shape": list(self.images.shape[1:]), "sigma_data": net.sigma_data,
            }  # fmt: skip
            save_checkpoint(net, target, card)
        return PerceptronModel(net, labels, self.images.shape[1:], prior, identity)

    def _identity(self, options: dict[str, Any]) -> dict[str, Any]:
        digest = sha256(np.ascontiguousarray(self.images).tobytes())
        return {"name": self.settings.data, "settings": options | {"data_sha256": digest}}

    def _check(self, model: "PerceptronModel") -> None:
        """Refuse a network of other pictures, or of another training."""
        known = model.identity["settings"]
        wanted = {**self._identity({})["settings"], "steps": self.settings.train_steps}
        for name, value in wanted.items():
            if known.get(name) != value:
                raise SpecentError(
                    f"network={str(self.settings.network)!r} has {name}={known.get(name)!r}, and the settings say "
                    f"{value!r}; name another file, which is then written, or give the same pictures and train_steps"
                )


def studied_pictures(settings: PictureSettings) -> StudiedPictures:
    """The pictures of a study.

    Parameters
    ----------
    settings : PictureSettings
        Which.

    Returns
    -------
    StudiedPictures
        Its network, exact denoiser and feature space are made when they are first asked for.

    Examples
    --------
    >>> shapes = studied_pictures(PictureSettings(data="shapes", pictures=480))
    >>> len(set(shapes.labels.tolist())), shapes.per_class(100)
    (48, 3)
    """
    from specent import images
    from specent.models.digits import digits_data

    if settings.data == "digits":
        return StudiedPictures(settings, *digits_data())
    drawn, attributes = images.shapes(settings.pictures)
    return StudiedPictures(
        settings, drawn, np.array([" ".join(values) for values in zip(*attributes.values(), strict=True)])
    )
