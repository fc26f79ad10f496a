"""Features of pictures from DINOv2 (arXiv 2304.07193), which agree with people's judgement of generated pictures better
than those of an ImageNet classifier (arXiv 2306.04675).

Pictures are resized and normalised here, with torch alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.models.base import resolve_device

# of ImageNet, red, green and blue; what DINOv2 was trained with
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_KINDS = ("dinov2", "dinov2_with_registers")


class DinoFeatures:
    """A DINOv2 network as feature space; see `dinov2`."""

    def __init__(self, net: Any, name: str, size: int, device: torch.device) -> None:
        self._net, self._size, self._device = net.to(device).eval(), size, device
        digest = hashlib.sha256()
        for key, value in sorted(net.state_dict().items()):
            digest.update(key.encode() + value.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self.identity: dict[str, Any] = {"name": name, "size": size, "weights_sha256": digest.hexdigest()}

    def __call__(self, pictures: Tensor) -> NDArray[np.float64]:
        """Features of pictures.

        Parameters
        ----------
        pictures : Tensor, shape (batch, 1 or 3, height, width)
            From 0 to 1.

        Returns
        -------
        ndarray, shape (batch, width of the network)
            The class token after the last normalisation.
        """
        with torch.inference_mode():
            output = self._net(pixel_values=network_input(pictures, self._size).to(self._device)).pooler_output
        features: NDArray[np.float64] = output.double().cpu().numpy()
        return features


def network_input(pictures: Tensor, size: int) -> Tensor:
    """Pictures as DINOv2 takes them: the shorter edge brought to `size`, cut to a square, colours normalised.

    Parameters
    ----------
    pictures : Tensor, shape (batch, 1 or 3, height, width)
        From 0 to 1.
    size : int
        Edge in pixels.

    Returns
    -------
    Tensor, shape (batch, 3, size, size)

    Raises
    ------
    SpecentError
        If they are no pictures.

    Examples
    --------
    >>> network_input(torch.full((1, 1, 4, 6), 0.485), 14)[0, 0].abs().max().item() < 1e-6
    True
    """
    shape = tuple(getattr(pictures, "shape", ()))
    if not isinstance(pictures, Tensor) or len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise SpecentError(f"pictures of shape {shape}: a tensor (batch, 1 or 3, height, width) is needed")
    if not (torch.isfinite(pictures).all() and pictures.min() >= 0 and pictures.max() <= 1):
        raise SpecentError(
            f"pictures run from {float(pictures.min()):.3g} to {float(pictures.max()):.3g}; 0 (black) to 1 (white) is "
            "needed, which model.decode(samples) gives"
        )
    height, width = shape[2:]
    scale = size / min(height, width)
    edges = (max(size, round(height * scale)), max(size, round(width * scale)))
    resized = functional.interpolate(pictures.float(), edges, mode="bicubic", antialias=True, align_corners=False)
    top, left = (edges[0] - size) // 2, (edges[1] - size) // 2
    square = resized[:, :, top : top + size, left : left + size].clamp(0, 1).expand(-1, 3, -1, -1)
    mean, deviation = (torch.tensor(values, device=square.device)[:, None, None] for values in (_MEAN, _DEVIATION))
    return (square - mean) / deviation


def dinov2(name: str | os.PathLike[str] = "facebook/dinov2-base", *, size: int = 224, device: str = "cpu") -> Any:
    """Load DINOv2 as a feature space for pictures.

    Parameters
    ----------
    name : str or path-like
        A local folder with ``config.json`` and ``model.safetensors``, or a name on the Hugging Face hub, which is
        downloaded once: ``facebook/dinov2-small``, ``-base``, ``-large`` or ``-giant``.
    size : int
        Edge, in pixels, to which pictures are brought; a multiple of the network's patches of 14.
    device : str
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    DinoFeatures
        Called with pictures of shape (batch, 1 or 3, height, width) from 0 to 1 it gives their features.

    Raises
    ------
    SpecentError
        If transformers is not installed, the folder or the hub does not have the network, or it is another one.

    Notes
    -----
    ``sp.quality.dinov2("facebook/dinov2-small")`` downloads 90 MB when it is called for the first time; a folder needs
    no network.

    Examples
    --------
    >>> dinov2(7)
    Traceback (most recent call last):
    specent.errors.SpecentError: name=7 is neither a folder nor a name on the hub
    """
    target = resolve_device(device)
    if not isinstance(name, (str, os.PathLike)) or not str(name):
        raise SpecentError(f"name={brief(name)} is neither a folder nor a name on the hub")
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise SpecentError("DINOv2 is loaded by transformers: pip install transformers") from error
    try:
        label = Path(name).name if Path(name).is_dir() else str(name)
    except (OSError, TypeError, ValueError) as error:
        raise SpecentError(f"name={brief(name)} is neither a folder nor a name on the hub") from error
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise SpecentError(_absent(name, error)) from error
    if config.model_type not in _KINDS:
        raise SpecentError(
            f"name={str(name)!r} is a {config.model_type!r} network; {' and '.join(_KINDS)} are known here, any other "
            "is a callable of your own"
        )
    patch = int(config.patch_size)
    if arguments.whole(size, "size", least=patch) % patch:
        raise SpecentError(
            f"size={size} must be a multiple of the patches of {patch} pixels; take {size // patch * patch}"
        )
    try:
        # weights in safetensors only: nothing in them can run
        net = AutoModel.from_pretrained(name, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, json.JSONDecodeError) as error:
        raise SpecentError(_absent(name, error)) from error
    return DinoFeatures(net, label, size, target)


def _absent(name: str | os.PathLike[str], error: Exception) -> str:
    why = " ".join(str(error).split())[:200]
    if Path(name).is_dir():
        return f"name={str(name)!r}: the folder does not hold config.json and model.safetensors of DINOv2 ({why})"
    return (
        f"name={str(name)!r} is no local folder, and the Hugging Face hub cannot be reached or lacks it ({why}); fetch "
        "it where there is a network, for instance with: hf download facebook/dinov2-base --local-dir dinov2-base, and "
        "pass the folder"
    )
