"""EDM2 networks as models: from a published file, a converted one, or a folder of either.

A conditional network that is called without a label is no model of the null condition: its label would be a row of
zeros, on which it was never trained (arXiv 2312.02696). The null condition is the separately trained unconditional
network.
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
from specent.models.edm2.conversion import read_network
from specent.models.edm2.pickles import StoredNetwork
from specent.models.edm2.presets import preset_name
from specent.models.edm2.vae import MEAN, NAME, LatentDecoder, load_vae
from specent.models.network import NetworkModel
from specent.schedules import VE

SUFFIXES = (".safetensors", ".pkl")


class NetworkPair(nn.Module):
    """A conditional network, and an unconditional one for the null condition, which follows the last label.

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
            raise ModelError(
                f"condition {self.classes} is the null condition, but there is no network for it; pass null="
            )
        if not bool(labelled.any()):
            unconditional: Tensor = self.null(x, sigma)
            return unconditional
        denoised = torch.empty_like(x)
        denoised[labelled] = self._labelled(x[labelled], sigma[labelled], condition[labelled])
        denoised[~labelled] = self.null(x[~labelled], sigma[~labelled])
        return denoised

    def _labelled(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        one_hot = nn.functional.one_hot(condition, self.classes).to(x.dtype)
        denoised: Tensor = self.conditional(x, sigma, one_hot)
        return denoised


class EDM2Model(NetworkModel):
    """EDM2 networks as a model; see `edm2`."""

    def __init__(
        self, net: NetworkPair, labels: Sequence[str], label_prior: ArrayLike | None, identity: dict[str, Any],
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
                f"samples of this model are latents, which only an autoencoder can turn into pictures; open it with "
                f"vae={NAME!r}, or with vae= the folder of a copy"
            )
        return super().decode(x)

    def greys(self, pictures: Tensor) -> Tensor:
        # in the published convention the greys of decoded latents are rounded down
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
    """A class-conditional EDM2 network of ImageNet, with an unconditional one as the null condition.

    Parameters
    ----------
    source : str or Path
        The conditional network: a published file (``edm2-img512-xs-2147483-0.045.pkl``), a file that ``specent
        convert`` wrote, or a folder with one network and perhaps its unconditional one (``-uncond`` in the file name).
    null : str or Path, optional
        The unconditional network, in the same forms. Without it the model has no null condition, so it can neither be
        guided nor compared with the null condition.
    labels : sequence of str, optional
        Names of the classes, in the order of the network; ``"0"`` to ``"999"`` by default.
    vae : str or Path, optional
        For pictures of latents: the folder of an autoencoder, or its name on the Hugging Face hub,
        ``"stabilityai/sd-vae-ft-mse"``.
    label_prior : array_like, shape (labels,), optional
        Prior of the labels, uniform by default.
    local_files_only : bool
        Whether to use only an autoencoder that was fetched before.

    Returns
    -------
    EDM2Model
        In single precision, on the noise levels of `VE`. Samples are latents (4, 64, 64) of standard deviation 1/2 for
        ImageNet-512, pixels (3, 64, 64) from -1 to 1 for ImageNet-64.

    Raises
    ------
    ModelError
        If a file cannot be read or is no EDM2 network (nothing in a pickle is run), a conditional network is passed as
        `null`, an unconditional one as `source`, or the two do not fit together.

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
    path, null_path = network_files(source, "source")
    stored = read_network(path, "source")
    if stored.config.label_dim == 0:
        raise ModelError(
            f"source={path.name!r} is an unconditional network, which has no labels; pass it as null=, and the "
            "conditional network as source"
        )
    identity = _facts(path, stored)
    if null is not None:
        null_path, _ = network_files(null, "null")
    null_stored = None
    if null_path is not None:
        null_stored = read_network(null_path, "null")
        _check_null(stored, null_stored, null_path)
        identity["null"] = _facts(null_path, null_stored)
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
    net = NetworkPair(build_network(stored), None if null_stored is None else build_network(null_stored)).eval()
    return EDM2Model(net, names, label_prior, {"name": "edm2", **identity}, decoder)


def build_network(stored: StoredNetwork) -> Precond:
    """The network with the weights of a file, for evaluation in single precision."""
    # without memory at first, because the weights of the file replace the random ones
    with torch.device("meta"):
        net = Precond(stored.config)
    # weights keep the precision of the file, because their normalised values are computed in single precision
    state = {key: value if key.endswith(".weight") else value.float() for key, value in stored.state.items()}
    net.load_state_dict(state, strict=True, assign=True)
    return net.freeze()


def network_files(source: Any, argument: str) -> tuple[Path, Path | None]:
    """The file of a network and, where the source is a folder, that of the unconditional network in it.

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
        raise ModelError(f"{argument}={brief(source)} is no path ({error}); pass a file or a folder") from error
    what = f"{argument}={str(source)!r}"
    if file and path.suffix in SUFFIXES:
        return path, None
    if not folder:
        problem = "is no file of a network" if file else "does not exist"
        hint = "pass a .pkl as published, a .safetensors that `specent convert` wrote, or a folder"
        raise ModelError(f"{what} {problem}; {hint}")
    for suffix in SUFFIXES:
        files = sorted(path.glob(f"*{suffix}"))
        unconditional = [one for one in files if "-uncond" in one.name]
        conditional = [one for one in files if one not in unconditional]
        fitting, others = (unconditional, []) if argument == "null" and unconditional else (conditional, unconditional)
        if len(fitting) == 1 and len(others) < 2:
            return fitting[0], others[0] if others else None
        if files:
            names = brief([one.name for one in files])
            raise ModelError(f"{what} has several networks, or none that fits ({names}); pass one of the files")
    raise ModelError(f"{what} has neither .safetensors nor .pkl files; pass the folder of a network")


def _facts(path: Path, stored: StoredNetwork) -> dict[str, Any]:
    """What a network is, for archives."""
    config = stored.config
    return {
        "file": path.name,
        "checkpoint_sha256": stored.sha256,
        "preset": preset_name(config),
        "config": config.as_dict(),
    }


def _check_null(stored: StoredNetwork, null: StoredNetwork, path: Path) -> None:
    if null.config.label_dim > 0:
        raise ModelError(
            f"null={path.name!r} is a conditional network of {null.config.label_dim} labels. Without a label its "
            "input is a row of zeros, on which it was never trained; pass the '-uncond' network of the same data"
        )
    for name in ("resolution", "channels", "sigma_data"):
        own, other = getattr(stored.config, name), getattr(null.config, name)
        if own != other:
            raise ModelError(
                f"null={path.name!r} has {name} {other}, the conditional network {own}; pass two networks of one set"
            )
