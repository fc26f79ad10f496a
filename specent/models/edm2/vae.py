"""The latents of the networks for ImageNet-512, and the autoencoder that makes pictures of them (arXiv 2312.02696).

The networks see latents of Stable Diffusion's autoencoder, channel by channel brought to mean 0 and standard deviation
1/2. Noise levels are in these units: they are no noise levels of pixels.

Here the autoencoder works on pixels from 0 to 1, in both directions, where pipelines of diffusers have -1 to 1. The
latents of the training set were encoded from ``grey / 255``; mean and standard deviation belong to that convention, and
so does decoding: what the autoencoder returns, clamped to 0 to 1, is the picture, and its greys are rounded down.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.outputs import reason
from specent.untrusted import parse_json, read_regular

NAME = "stabilityai/sd-vae-ft-mse"
"""The autoencoder of the training data."""

MEAN = (5.81, 3.25, 0.12, -2.15)
DEVIATION = (4.17, 4.62, 3.71, 3.28)
"""Mean and standard deviation of the raw latents, which lack the factor 0.18215 of diffusers."""

SPREAD = 0.5

_FILES = ("config.json", "diffusion_pytorch_model.safetensors")
# pictures decoded at a time: one of 512 x 512 pixels takes about a gigabyte
_BATCH = 4


def scale_latents(raw: Tensor) -> Tensor:
    """Latents as the networks see them, from raw latents (batch, 4, height, width).

    Examples
    --------
    >>> scale_latents(torch.tensor(MEAN)[None, :, None, None]).abs().max().item()
    0.0
    """
    mean, deviation = _moments(raw)
    return (raw - mean) * (SPREAD / deviation)


def unscale_latents(latents: Tensor) -> Tensor:
    """Raw latents from latents (batch, 4, height, width) as the networks see them: the inverse of `scale_latents`."""
    mean, deviation = _moments(latents)
    return latents * (deviation / SPREAD) + mean


def _moments(like: Tensor) -> tuple[Tensor, Tensor]:
    mean, deviation = (like.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return mean, deviation


class LatentDecoder:
    """Pictures of latents.

    Parameters
    ----------
    vae : AutoencoderKL
        Of diffusers.
    facts : dict
        Name and SHA-256 of the autoencoder, for archives.
    """

    def __init__(self, vae: Any, facts: dict[str, Any]) -> None:
        self.vae, self.facts = vae, facts

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Pictures (batch, 3, 8 height, 8 width), 0 black to 1 white, of latents (batch, 4, height, width)."""
        self.vae.to(x.device)
        parts = torch.split(unscale_latents(x.float()), _BATCH)
        pictures = [self.vae.decode(part, return_dict=False)[0] for part in parts]
        return torch.cat(pictures).clamp(0, 1)


def load_vae(name: str | Path, *, local_files_only: bool = False) -> LatentDecoder:
    """The autoencoder in a folder, or of that name on the Hugging Face hub.

    Parameters
    ----------
    name : str or Path
        A folder written by diffusers, or a name, normally `NAME`.
    local_files_only : bool
        Whether to use only what was fetched before.

    Returns
    -------
    LatentDecoder

    Raises
    ------
    ModelError
        If it cannot be read, or is no autoencoder of four channels.
    """
    if not isinstance(name, (str, Path)) or not str(name):
        raise ModelError(f"vae={brief(name)} must be a folder, or a name of the hub such as {NAME!r}")
    try:
        from diffusers import AutoencoderKL

        from specent.models.diffusers.weights import quiet
    except ImportError as error:
        raise ModelError(f"vae={brief(name)}: decoding needs diffusers and transformers ({reason(error)})") from error
    folder = _folder(name, local_files_only)
    label = folder.resolve().name if Path(name).expanduser() == folder else str(name)
    config, weights = (_read(folder / file, label) for file in _FILES)
    channels = _entry(config, "latent_channels", label)
    if _entry(config, "_class_name", label) != "AutoencoderKL" or channels != len(MEAN):
        raise ModelError(
            f"vae={label!r} is no AutoencoderKL of {len(MEAN)} channels (it has {brief(channels)}); the networks were "
            f"trained on latents of {NAME!r}"
        )
    try:
        with quiet():
            vae, report = AutoencoderKL.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:
        raise ModelError(f"vae={label!r} cannot be loaded ({reason(error)}); fetch it again") from error
    if report["missing_keys"]:
        raise ModelError(f"vae={label!r} lacks the tensor {sorted(report['missing_keys'])[0]!r}; fetch it again")
    return LatentDecoder(vae.eval(), {"name": label, "sha256": hashlib.sha256(weights).hexdigest()})


def _folder(name: str | Path, local_files_only: bool) -> Path:
    try:
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError, ValueError):
        pass
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), allow_patterns=list(_FILES), local_files_only=local_files_only))
    except Exception as error:
        raise ModelError(
            f"vae={brief(str(name))} is no folder here, and cannot be fetched from the hub ({reason(error)}); where "
            f"the hub can be reached run `hf download {NAME} --local-dir FOLDER`, then pass vae=FOLDER"
        ) from error


def _read(path: Path, label: str) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise ModelError(
            f"vae={label!r}: {path.name} cannot be read ({error.strerror}); pass the folder that save_pretrained of "
            "diffusers wrote, with weights as safetensors"
        ) from error


def _entry(config: bytes, name: str, label: str) -> Any:
    try:
        settings = parse_json(config)
        return settings.get(name)
    except (AttributeError, ValueError) as error:
        raise ModelError(f"vae={label!r}: config.json is no JSON object ({reason(error)})") from error
