"""EDM2 networks as models: from a published file, a converted one, or a folder of either.

A conditional network that is called without a label is no null model: it never saw the row of zeros it would be given
(arXiv 2312.02696). The null condition is that of the separately trained unconditional network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.edm2.architecture import Precond
from specent.models.edm2.conversion import read
from specent.models.edm2.pickles import Stored
from specent.models.edm2.presets import preset_name
from specent.models.edm2.vae import MEAN, NAME, LatentDecoder, load_vae
from specent.models.network import NetworkModel
from specent.schedules import VE

SUFFIXES = (".safetensors", ".pkl")


class Together(nn.Module):
    """A conditional network, and an unconditional one for the condition after the last label.

    Parameters
    ----------
    conditional : Precond
        With `Config.label_dim` labels.
    null : Precond, optional
        Without labels.
    """

    def __init__(self, conditional: Precond, null: Precond | None) -> None:
        super().__init__()
        self.conditional, self.null = conditional, null
        self.classes = conditional.config.label_dim

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        """Denoised data of states (batch, ...) at noise levels (batch,) under conditions (batch,)."""
        labelled = condition < self.classes
        if bool(labelled.all()):
            return self._labelled(x, sigma, condition)
        if self.null is None:
            raise ModelError(f"condition {self.classes} is the null condition, of which no network was given (null=)")
        if not bool(labelled.any()):
            free: Tensor = self.null(x, sigma)
            return free
        made = torch.empty_like(x)
        made[labelled] = self._labelled(x[labelled], sigma[labelled], condition[labelled])
        made[~labelled] = self.null(x[~labelled], sigma[~labelled])
        return made

    def _labelled(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        made: Tensor = self.conditional(x, sigma, nn.functional.one_hot(condition, self.classes).to(x.dtype))
        return made


class EDM2Model(NetworkModel):
    """EDM2 networks as a model; see `edm2`."""

    def __init__(
        self, net: Together, labels: Sequence[str], label_prior: ArrayLike | None, identity: dict[str, Any],
        decoder: LatentDecoder | None,
    ) -> None:  # fmt: skip
        config = net.conditional.config
        shape = (config.channels, config.resolution, config.resolution)
        null = net.null is not None
        super().__init__(net, labels, shape, "data", VE(), label_prior, null, identity, torch.float32)
        self.decoder = decoder

    def decode(self, x: Tensor) -> Tensor:
        if self.decoder is not None:
            return self.decoder(x)
        if self.shape[0] == len(MEAN):
            raise ModelError(
                f"these are latents, which an autoencoder turns into pictures: make the model with vae={NAME!r}, or "
                "with vae= the folder of a copy"
            )
        return super().decode(x)

    def greys(self, pictures: Tensor) -> Tensor:
        # pictures of latents are published with their greys rounded down
        return super().greys(pictures) if self.decoder is None else (255 * pictures.double()).to(torch.uint8)


def edm2(
    source: str | Path,
    *,
    null: str | Path | None = None,
    labels: Sequence[str] | None = None,
    vae: str | Path | None = None,
    label_prior: ArrayLike | None = None,
    local_files_only: bool = False,
) -> EDM2Model:
    """A class-conditional EDM2 network of ImageNet, with its unconditional one as the null condition.

    Parameters
    ----------
    source : str or Path
        The conditional network: a published file (``edm2-img512-xs-2147483-0.045.pkl``), a file made of it by ``specent
        convert``, or a folder that holds one network, and perhaps its unconditional one (``-uncond`` in its name).
    null : str or Path, optional
        The unconditional network, in the same forms. Without it the model has no null condition: it can be neither
        guided nor held against it.
    labels : sequence of str, optional
        Names of the classes, in the order of the network; ``"0"`` to ``"999"`` by default.
    vae : str or Path, optional
        For pictures of latents: the folder of an autoencoder, or its name on the Hugging Face hub,
        ``"stabilityai/sd-vae-ft-mse"``.
    label_prior : array_like, shape (labels,), optional
        Prior of the labels, uniform by default.
    local_files_only : bool
        Whether the autoencoder must be one that was fetched before.

    Returns
    -------
    EDM2Model
        In single precision, on the noise levels of `VE`. Samples are latents (4, 64, 64) of standard deviation 1/2 for
        ImageNet-512, pixels (3, 64, 64) from -1 to 1 for ImageNet-64.

    Raises
    ------
    ModelError
        If a file cannot be read or holds something else (nothing in a pickle is run), a conditional network is offered
        as `null`, an unconditional one as `source`, or the two do not fit together.

    References
    ----------
    arXiv 2312.02696. The published weights have a licence of their own.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from specent.models.edm2.tiny_networks import write_tiny
    >>> with TemporaryDirectory() as folder:
    ...     network, null = write_tiny(Path(folder))
    ...     model = edm2(network, null=null, labels=["cat", "dog", "car"])
    >>> model.shape, model.null
    ((4, 8, 8), True)
    """
    path, beside = find(source, "source")
    stored = read(path, "source")
    if stored.config.label_dim == 0:
        raise ModelError(
            f"source={path.name!r} is an unconditional network, which has no labels; pass it as null=, and the "
            "conditional network as source"
        )
    identity = _facts(path, stored)
    free, other = (find(null, "null")[0] if null is not None else beside), None
    if free is not None:
        other = read(free, "null")
        _check_null(stored, other, free)
        identity["null"] = _facts(free, other)
    count = stored.config.label_dim
    names = tuple(map(str, range(count))) if labels is None else arguments.names(labels, "labels", error=ModelError)
    if len(names) != count:
        raise ModelError(f"labels={brief(list(names))} are {len(names)}, the network has {count} classes")
    decoder = None
    if vae is not None:
        if stored.config.channels != len(MEAN):
            raise ModelError(f"vae={brief(str(vae))}: {path.name!r} denoises pixels; leave the autoencoder out")
        decoder = load_vae(vae, local_files_only=arguments.flag(local_files_only, "local_files_only", error=ModelError))
        identity["vae"] = decoder.facts
    net = Together(network(stored), None if other is None else network(other)).eval()
    return EDM2Model(net, names, label_prior, {"name": "edm2", **identity}, decoder)


def network(stored: Stored) -> Precond:
    """The network with the weights of a file, for evaluation in single precision."""
    # made without memory first: the weights of a file take its place, not those of chance
    with torch.device("meta"):
        net = Precond(stored.config)
    # weights stay as they are stored: what is applied are their normalised values, in single precision
    state = {key: value if key.endswith(".weight") else value.float() for key, value in stored.state.items()}
    net.load_state_dict(state, strict=True, assign=True)
    return net.freeze()


def find(source: Any, argument: str) -> tuple[Path, Path | None]:
    """The file of a network, and that of the unconditional one beside it in the folder, if a folder was given.

    Raises
    ------
    ModelError
        If there is no such file, or a folder does not hold exactly one.
    """
    try:
        if not str(source):
            raise ValueError("it is empty")
        path = Path(source).expanduser()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{argument}={brief(source)} is no path ({error}); give a file or a folder") from error
    what = f"{argument}={str(source)!r}"
    if file and path.suffix in SUFFIXES:
        return path, None
    if not folder:
        wrong = "is no file of a network" if file else "does not exist"
        raise ModelError(f"{what} {wrong}; give a .pkl as published, a .safetensors of `specent convert`, or a folder")
    for suffix in SUFFIXES:
        files = sorted(path.glob(f"*{suffix}"))
        free = [one for one in files if "-uncond" in one.name]
        plain = [one for one in files if one not in free]
        wanted, others = (free, []) if argument == "null" and free else (plain, free)
        if len(wanted) == 1 and len(others) < 2:
            return wanted[0], others[0] if others else None
        if files:
            names = brief([one.name for one in files])
            raise ModelError(f"{what} holds several networks, or none that fits ({names}); name one of the files")
    raise ModelError(f"{what} holds neither .safetensors nor .pkl files; give the folder of a network")


def _facts(path: Path, stored: Stored) -> dict[str, Any]:
    """What a network is, for archives."""
    config = stored.config
    return {
        "file": path.name,
        "checkpoint_sha256": stored.sha256,
        "preset": preset_name(config),
        "config": config.as_dict(),
    }


def _check_null(stored: Stored, other: Stored, path: Path) -> None:
    if other.config.label_dim > 0:
        raise ModelError(
            f"null={path.name!r} is a conditional network of {other.config.label_dim} labels. Without a label it would "
            "be given a row of zeros, which it was never trained on; pass the '-uncond' network of the same data"
        )
    for name in ("resolution", "channels", "sigma_data"):
        own, its = getattr(stored.config, name), getattr(other.config, name)
        if own != its:
            raise ModelError(
                f"null={path.name!r} has {name} {its}, the conditional network {own}; use those of one set"
            )
