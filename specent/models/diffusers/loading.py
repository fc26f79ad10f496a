"""Opening any known pipeline of diffusers as a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from specent import arguments
from specent.errors import ModelError
from specent.models.base import resolve_device
from specent.models.diffusers.hub import KNOWN, Source, find_source
from specent.models.diffusers.options import Options, picture_size
from specent.models.diffusers.pipeline_model import PipelineModel, PipelineParts
from specent.models.diffusers.pixels import open_pixels
from specent.models.diffusers.text_to_image import open_text_to_image
from specent.models.diffusers.transformer import open_transformer
from specent.schedules import Schedule


def pipeline(
    source: str | Path | Mapping[str, str | Path],
    *,
    labels: Sequence[str] | None = None,
    prompts: Sequence[str] | Mapping[str, str] | None = None,
    null: bool | int | str | None = None,
    unconditional: str | Path | None = None,
    label_prior: ArrayLike | None = None,
    size: int | tuple[int, int] | None = None,
    schedule: Schedule | None = None,
    prediction: str | None = None,
    clipped: bool = False,
    variant: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    device: str = "cpu",
) -> PipelineModel:
    """Open a pipeline of diffusers: a local folder, or a name on the Hugging Face hub.

    Noise schedule, prediction type, shape and the factors of the latents are read from the pipeline's configuration.
    Its scheduler only says on which channel the network was trained: `specent.sample` takes its own steps. Weights are
    read from safetensors files, in single precision.

    Parameters
    ----------
    source : str, Path or mapping
        A folder written by `save_pretrained`, or a name such as ``"google/ddpm-cifar10-32"``, whose needed parts are
        fetched. Or a mapping from labels to folders or names, one network per class.
    labels : sequence of str, optional
        Names of the class labels, in the order of the network. By default those of the pipeline, or numbers.
    prompts : sequence of str or mapping, optional
        For text to image: the prompts, which are the labels too; or a mapping from labels to prompts. They are encoded
        once, and the text encoders are then removed from memory.
    null : bool, int or str, optional
        The null condition. For a `UNet2DModel` with class labels there is none by default; True says that its last
        label was trained as one, a number says which label. A DiT has one. For text to image it is the empty prompt;
        any other text is a negative prompt. With False there is none.
    unconditional : str or Path, optional
        For a `UNet2DModel`: another network, trained without labels, as the null condition.
    label_prior : array_like, shape (labels,), optional
        Prior of the labels, uniform by default.
    size : int or (int, int), optional
        Height and width of the pictures in pixels, by default those of the training data.
    schedule : Schedule, optional
        Noise schedule of the network, instead of its scheduler's; `prediction` is needed too then.
    prediction : str, optional
        What the network returns, instead of what its scheduler says; see `specent.models.network`.
    clipped : bool
        Whether denoised pixels are clipped to the range that the scheduler's own sampler clips them to.
    variant, revision : str, optional
        Variant of the weights, for example ``"fp16"``; revision on the hub.
    local_files_only : bool
        Whether to use only what was fetched before.
    device : {"cpu", "cuda"}
        Device on which the prompts are encoded. Trajectories are sampled on the device of `specent.sample`.

    Returns
    -------
    PipelineModel
        Its `decode` turns latents into pictures with the pipeline's own autoencoder.

    Raises
    ------
    ModelError
        If there is no such pipeline, its class is unknown, its weights are pickled, its parts do not fit together, or
        an argument does not go with it.

    Warns
    -----
    SpecentWarning
        If a prompt is longer than the text encoders take, naming the words that are cut off.

    References
    ----------
    arXiv 2006.11239 (DDPM), 2212.09748 (DiT), 2112.10752, 2307.01952 and 2403.03206 (Stable Diffusion).

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from specent.models.diffusers.tiny_pipelines import write_pipeline
    >>> with TemporaryDirectory() as folder:
    ...     model = pipeline(write_pipeline("sd1", folder), prompts=["a chair", "a chair and a cat"])
    >>> model.labels, model.shape, model.prediction
    (('a chair', 'a chair and a cat'), (4, 8, 8), 'noise')
    """
    _needs_diffusers()
    fetching: dict[str, Any] = {
        "variant": None if variant is None else arguments.name(variant, "variant", error=ModelError),
        "revision": None if revision is None else arguments.name(revision, "revision", error=ModelError),
        "local_files_only": arguments.flag(local_files_only, "local_files_only", error=ModelError),
    }
    clips = arguments.flag(clipped, "clipped", error=ModelError)
    sources = _sources(source, fetching)
    options = Options(
        labels=labels,
        prompts=prompts,
        null=null,
        unconditional=None if unconditional is None else find_source(unconditional, "unconditional", **fetching),
        size=picture_size(size),
        schedule=schedule,
        prediction=prediction,
        device=resolve_device(device),
    )
    parts = _parts(sources, options)
    name = sources.name if isinstance(sources, Source) else " | ".join(one.name for one in sources.values())
    return PipelineModel(parts, name, label_prior, clips)


def _needs_diffusers() -> None:
    try:
        import diffusers  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"pipelines need diffusers and transformers ({error}); install them: pip install 'specent[diffusers]'"
        ) from error


def _sources(source: Any, fetching: dict[str, Any]) -> Source | dict[str, Source]:
    """The source, or one for each label."""
    if not isinstance(source, Mapping):
        return find_source(source, **fetching)
    if not source:
        raise ModelError("source={} must hold at least one label and its network")
    return {
        arguments.name(label, "source", error=ModelError): find_source(each, f"source[{label!r}]", **fetching)
        for label, each in source.items()
    }


def _parts(sources: Source | dict[str, Source], options: Options) -> PipelineParts:
    """The network and all that belongs to it, by the family of the pipeline."""
    every = [sources] if isinstance(sources, Source) else list(sources.values())
    if options.unconditional is not None and KNOWN[every[0].kind] == "pixels":
        every.append(options.unconditional)
    families = [KNOWN[one.kind] for one in every]
    if set(families) == {"pixels"}:
        return open_pixels(sources, options)
    if not isinstance(sources, Source) or len(every) > 1:
        other = next(one for one, family in zip(every, families, strict=True) if family != "pixels")
        raise ModelError(f"{other} knows its conditions itself; only UNet2DModel can be one network of several")
    open_family = open_transformer if families[0] == "transformer" else open_text_to_image
    return open_family(sources, options)
