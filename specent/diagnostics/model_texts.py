"""Models and data by a line of text, as the command line takes them."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentError
from specent.images.stored import array_names, opened_npz, read_array
from specent.models.base import Model
from specent.models.checkpoint import read_card
from specent.models.ddpm_model import ddpm, is_ddpm
from specent.models.diffusers import pipeline
from specent.models.digits import digits
from specent.models.edm2.edm2_model import edm2
from specent.models.outputs import reason
from specent.models.protocol import as_model

MODELS = (
    "'digits', FILE.py:NAME, a .safetensors of train_digits or of specent convert, a published EDM2 .pkl, or the "
    "folder or hub name of a pipeline"
)
# what arrays of data may be called in a file that holds no pictures
_ARRAYS = ("latents", "images", "x")
_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def model_from_text(
    text: str, *, null: str | None = None, labels: Sequence[str] = (), prompts: Sequence[str] = (),
    local_files_only: bool = False,
) -> Model:  # fmt: skip
    """The model that a line of text names.

    Parameters
    ----------
    text : str
        ``"digits"``; ``"FILE.py:NAME"``, where NAME is a model, an object that follows the protocol
        `specent.models.Denoiser`, or a function without arguments that returns one; a checkpoint; a folder; or a name
        on the Hugging Face hub. A file of Python is executed, nothing else is.
    null : str, optional
        For EDM2 and unconditional pipelines: where the network of the null condition is.
    labels, prompts : sequence of str
        Names of the labels of a network that has none, and prompts of a text to image pipeline.
    local_files_only : bool
        Whether a pipeline must be one that was fetched before.

    Returns
    -------
    Model

    Raises
    ------
    SpecentError
        If the text names no model, or that cannot be made.

    Examples
    --------
    >>> model_from_text("digits").shape
    (1, 8, 8)
    """
    text = arguments.name(text, "model")
    names, words = list(labels) or None, list(prompts) or None
    options = {"null": null, "labels": names, "prompts": words}
    file, colon, name = text.rpartition(":")
    if colon and file.endswith(".py"):
        _refuse(text, **options)
        _local_path(file)
        return _from_python(Path(file), name)
    if text.endswith(".py"):
        raise SpecentError(f"model={text!r}: say which object of the file, as {text}:model")
    if text == "digits":
        _refuse(text, **options)
        return digits()
    path = _local_path(text)
    if path.suffix == ".pkl" or (path.is_dir() and not _is_pipeline(path) and not is_ddpm(path)):
        _refuse(text, prompts=words)
        return edm2(path, null=null, labels=names)
    if path.suffix == ".safetensors":
        _refuse(text, prompts=words)
        if read_card(path).get("name") == "edm2":
            return edm2(path, null=null, labels=names)
        _refuse(text, null=null, labels=names)
        return digits(path)
    if is_ddpm(path):
        _refuse(text, **options)
        return ddpm(path)
    if path.is_dir() or text.count("/") == 1:
        return pipeline(text, labels=names, prompts=words, unconditional=null, local_files_only=local_files_only)
    raise SpecentError(f"model={text!r} is none of {MODELS}")


def data_from_text(text: str, model: Model, progress: bool = True) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labelled data that a line of text names, for a model.

    Parameters
    ----------
    text : str
        As `specent.images.read` takes it; or an ``.npz`` file with ``latents`` (n, ...), in the units of the model, and
        ``labels`` (n,), for data that is no pictures. For a model of something else than pictures of 1 or 3 channels
        they may be called ``images`` or ``x`` too.
    model : Model
        Decides the size and the channels of pictures, and the shape of other data.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    images : ndarray, shape (n, ...)
    labels : ndarray of str or int, shape (n,)

    Raises
    ------
    SpecentError
        If the text names no data, or that cannot be read.

    Examples
    --------
    >>> images, labels = data_from_text("digits", model_from_text("digits"), progress=False)
    >>> images.shape, str(labels[0])
    ((1797, 1, 8, 8), '0')
    """
    from specent import images

    text = arguments.name(text, "data")
    pictures = len(model.shape) == 3 and model.shape[0] in (1, 3)
    if text.endswith(".npz"):
        arrays = _arrays(Path(text).expanduser(), model.shape, pictures)
        if arrays is not None:
            return arrays
    size, channels = (model.shape[-1], model.shape[0]) if len(model.shape) == 3 else (None, 3)
    dataset = images.read(text, size=size, channels=channels, progress=progress)
    return dataset.images, dataset.label_names


def _arrays(file: Path, shape: Sequence[int], pictures: bool) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Data that is no pictures, as it is; None if the file holds pictures, or there is none."""
    what = f"data={str(file)!r}"
    if not file.is_file():
        return None
    with opened_npz(file, what) as archive:
        stored = array_names(archive)
        # pictures are converted to the model's range and size; latents and vectors are not
        known = ("latents",) if pictures and "images" in stored else _ARRAYS
        name = next((name for name in known if name in stored), None)
        if name is None:
            if pictures:
                return None
            raise SpecentError(f"{what} holds {stored[:8]}; it needs one of {', '.join(_ARRAYS)}, and labels")
        if "labels" not in stored:
            raise SpecentError(f"{what} holds {name} but no labels; add an array labels, one entry per sample")
        data, labels = read_array(archive, name, what), read_array(archive, "labels", what)
    return _fitted(data, labels, name, shape, what)


def _fitted(
    data: NDArray[Any], labels: NDArray[Any], name: str, shape: Sequence[int], what: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The arrays, if they are data of that shape with a label each."""
    if data.dtype.kind not in "fiu":
        raise SpecentError(f"{what}: {name} has type {data.dtype}; it must hold numbers")
    if data.shape[1:] != tuple(shape):
        needed = ", ".join(map(str, shape))
        raise SpecentError(f"{what}: {name} has shape {data.shape}; the model needs (n, {needed})")
    if labels.shape != (len(data),):
        raise SpecentError(
            f"{what}: labels has shape {labels.shape}; it must be ({len(data)},), one per entry of {name}"
        )
    bad = ~np.isfinite(data.reshape(len(data), -1)).all(axis=1)
    if bad.any():
        raise SpecentError(f"{what}: {name}[{int(np.argmax(bad))}] holds a NaN or an infinity; clean the data first")
    return data, labels


def _refuse(text: str, **options: object) -> None:
    """Refuse options that do not go with the model; None is one that was left out."""
    for name, value in options.items():
        if value is not None:
            raise SpecentError(f"{name}={brief(value)} does not go with model={text!r}; leave it out")


def _is_pipeline(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("model_index.json", "config.json"))


def _local_path(text: str) -> Path:
    """The text as a path of this machine."""
    try:
        path = Path(text).expanduser()
        path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelError(f"model={brief(text)} is no path that can be read ({why}); give {MODELS}") from error
    return path


def _from_python(file: Path, name: str) -> Model:
    """The model called `name` in a file of Python, or what a function of that name returns."""
    what = f"model={f'{file}:{name}'!r}"
    module = _module(file, what)
    if not hasattr(module, name):
        own = [key for key in vars(module) if not key.startswith("_")]
        raise SpecentError(f"{what}: {file} defines no {name!r}; it has {', '.join(own[:12])}")
    thing = getattr(module, name)
    if inspect.isroutine(thing):
        needed = [
            parameter.name
            for parameter in inspect.signature(thing).parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in _OPEN
        ]
        if needed:
            raise SpecentError(
                f"{what} is a function of {', '.join(needed)}; give one without arguments that returns the model, made "
                "with specent.models.network(...) for instance"
            )
        try:
            thing = thing()
        except SpecentError:
            raise
        except Exception as error:
            raise SpecentError(f"{what} raised {reason(error)}") from error
        except SystemExit as error:
            # it would end the command, with success if its code is 0
            raise ModelError(f"{what} raised SystemExit: {error}; return the model instead") from error
    return as_model(thing)


def _module(file: Path, what: str) -> ModuleType:
    if not file.is_file():
        raise SpecentError(f"{what}: there is no file {str(file)!r}")
    name = f"_specent_model_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise SpecentError(f"{what}: the file cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # what it imports from beside it is found, as when it is run
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except SpecentError:
        raise
    except (Exception, SystemExit) as error:
        raise SpecentError(f"{what}: the file raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
