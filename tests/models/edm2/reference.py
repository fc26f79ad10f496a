"""The networks once more, written with NumPy in double precision from the description alone, slow and plain.

Weights come as a mapping from the names in the published files to arrays.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]


def normalised(x: Array, axes: tuple[int, ...]) -> Array:
    """Unit root mean square over some axes."""
    return x / (1e-4 + np.sqrt(np.mean(x**2, axis=axes, keepdims=True)))


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x)) / 0.596


def blend(a: Array, b: Array, t: float) -> Array:
    return ((1 - t) * a + t * b) / np.sqrt((1 - t) ** 2 + t**2)


def joined(a: Array, b: Array, t: float) -> Array:
    n, m = a.shape[1], b.shape[1]
    c = np.sqrt((n + m) / ((1 - t) ** 2 + t**2))
    return np.concatenate([c * (1 - t) / np.sqrt(n) * a, c * t / np.sqrt(m) * b], axis=1)


def weight(weights: Weights, name: str) -> Array:
    raw = weights[f"{name}.weight"]
    return normalised(raw, tuple(range(1, raw.ndim))) / np.sqrt(raw[0].size)


def convolved(x: Array, weights: Weights, name: str) -> Array:
    """Convolution as a sum over the originals of the filter; a linear map if the weight is a matrix."""
    w = weight(weights, name)
    if w.ndim == 2:
        return x @ w.T
    k = w.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    height, width = x.shape[2:]
    return sum(
        np.einsum("oi,bihw->bohw", w[:, :, i, j], padded[:, :, i : i + height, j : j + width])
        for i in range(k)
        for j in range(k)
    )


def attended(x: Array, weights: Weights, name: str) -> Array:
    batch, channels = x.shape[:2]
    joint = convolved(x, weights, f"{name}.attn_qkv").reshape(batch, channels // 64, 64, 3, -1)
    q, k, v = (normalised(joint[:, :, :, i], (2,)) for i in range(3))
    score = np.einsum("bhcq,bhck->bhqk", q, k) / 8
    share = np.exp(score - score.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    mixed = np.einsum("bhqk,bhck->bhcq", share, v).reshape(x.shape)
    return blend(x, convolved(mixed, weights, f"{name}.attn_proj"), 0.3)


def block(x: Array, e: Array, weights: Weights, name: str, encoder: bool) -> Array:
    """A block; how it resamples follows from its name."""
    if name.endswith("down"):
        x = 0.25 * (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2])
    if name.endswith("up"):
        x = np.repeat(np.repeat(x, 2, axis=2), 2, axis=3)

    def skipped(x: Array) -> Array:
        return convolved(x, weights, f"{name}.conv_skip") if f"{name}.conv_skip.weight" in weights else x

    if encoder:
        x = normalised(skipped(x), (1,))
    y = convolved(silu(x), weights, f"{name}.conv_res0")
    c = convolved(e, weights, f"{name}.emb_linear") * weights[f"{name}.emb_gain"] + 1
    y = convolved(silu(y * c[:, :, None, None]), weights, f"{name}.conv_res1")
    if not encoder:
        x = skipped(x)
    x = blend(x, y, 0.3)
    if f"{name}.attn_qkv.weight" in weights:
        x = attended(x, weights, name)
    return np.clip(x, -256, 256)


def unet(x: Array, noise: Array, labels: Array | None, weights: Weights) -> Array:
    """The U-Net; its layers and their order are read off the names."""
    fourier = np.sqrt(2) * np.cos(np.outer(noise, weights["emb_fourier.freqs"]) + weights["emb_fourier.phases"])
    e = convolved(fourier, weights, "emb_noise")
    if labels is not None:
        e = blend(e, convolved(labels * np.sqrt(labels.shape[1]), weights, "emb_label"), 0.5)
    e = silu(e)
    x = np.concatenate([x, np.ones_like(x[:, :1])], axis=1)
    layers = list(dict.fromkeys(name.split(".")[1] for name in weights if name.startswith("enc.")))
    skips = []
    for layer in layers:
        plain = layer.endswith("conv")
        x = convolved(x, weights, f"enc.{layer}") if plain else block(x, e, weights, f"enc.{layer}", True)
        skips.append(x)
    for layer in list(dict.fromkeys(name.split(".")[1] for name in weights if name.startswith("dec."))):
        if "block" in layer:
            x = joined(x, skips.pop(), 0.5)
        x = block(x, e, weights, f"dec.{layer}", False)
    return convolved(x, weights, "out_conv") * weights["out_gain"]


def denoised(x: Array, sigma: Array, labels: Array | None, weights: Weights) -> Array:
    """The denoised data; the weights have the names of the file."""
    inner = {name.removeprefix("unet."): value for name, value in weights.items() if name.startswith("unet.")}
    s = sigma[:, None, None, None]
    total = s**2 + 0.25
    raw = unet(x / np.sqrt(total), np.log(sigma) / 4, labels, inner)
    return 0.25 / total * x + s * 0.5 / np.sqrt(total) * raw
