"""Models as a plan file names them: a kind, and the arguments with which it is loaded.

A kind is one row of `KINDS`. What it loads is data: numbers in the plan itself, or files of weights beside it. Nothing
in a plan is executed, and nothing is fetched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from specent import models
from specent.arguments import brief, instance
from specent.errors import ModelError, SpecentError
from specent.exact import GaussianMixture
from specent.files import as_path, shipped_folder
from specent.models.base import Model
from specent.models.checkpoint import read_card
from specent.models.digits import NAME as DIGITS
from specent.models.mixture import MixtureModel
from specent.runs.plan_values import check_keys, named_schedule

PYTHON = "python"
"""The kind of a model that only Python can make, and that is passed when the plan is read."""

_MOST_NUMBERS = 1 << 25


def _gaussian_mixture(
    means: ArrayLike,
    variance: ArrayLike = 1.0,
    weights: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    dimension: int | None = None,
) -> Model:
    """The exact denoisers of a mixture whose numbers stand in the plan; see `specent.exact.GaussianMixture`."""
    source = GaussianMixture(means, variance, weights, labels, dimension)
    count = len(source.weights) * source.dimension
    if count > _MOST_NUMBERS:
        raise ModelError(
            f"dimension={source.dimension}: the means have {count} coordinates; a plan may ask for {_MOST_NUMBERS}"
        )
    return models.mixture(source)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes
    ----------
    loader : callable
        Returns the function that makes the model from the arguments that the plan names; only then is it imported.
    paths : tuple of str
        Arguments that are paths, relative to the folder of the plan.
    names : tuple of str
        Arguments that are paths, or names on the Hugging Face hub of what was fetched before.
    fixed : dict
        Arguments of which the plan has no say.
    """

    loader: Callable[[], Callable[..., Model]]
    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, bool]:
        """The arguments that a plan may name, and whether it must."""
        named = inspect.signature(self.loader()).parameters.values()
        return {one.name: one.default is one.empty for one in named if one.name not in self.fixed}


KINDS: dict[str, Kind] = {
    "mixture": Kind(lambda: _gaussian_mixture),
    "digits": Kind(lambda: models.digits, paths=("path",)),
    "ddpm": Kind(lambda: models.ddpm, paths=("folder",)),
    "edm2": Kind(lambda: models.edm2, paths=("source", "null"), names=("vae",), fixed={"local_files_only": True}),
    "pipeline": Kind(
        lambda: models.pipeline,
        names=("source", "unconditional"),
        fixed={"local_files_only": True, "device": "cpu"},
    ),
}
"""Every kind of model that a plan file can name."""


def load_model(table: Mapping[str, Any], folder: Path) -> Model:
    """Load the model that a plan names.

    Parameters
    ----------
    table : dict
        ``kind``, and the arguments of its row of `KINDS`.
    folder : Path
        The folder of the plan.

    Returns
    -------
    Model

    Raises
    ------
    SpecentError
        If there is no such kind, an argument is unknown or missing, or the model cannot be loaded.

    Examples
    --------
    >>> load_model({"kind": "mixture", "means": [[-1.0], [1.0]], "labels": ["left", "right"]}, Path()).labels
    ('left', 'right')
    """
    fields = dict(table)
    name = check_table(fields)
    if name == PYTHON:
        raise SpecentError("model: kind='python' is a model that only Python can make; use Plan.read(path, model=...)")
    kind = KINDS[name]
    del fields["kind"]
    for key in {*kind.paths, *kind.names} & fields.keys():
        fields[key] = _located(fields[key], f"model: {key}", folder, hub=key in kind.names)
    if "schedule" in fields:
        fields["schedule"] = named_schedule(fields["schedule"], "model: schedule")
    try:
        return kind.loader()(**fields, **kind.fixed)
    except SpecentError as error:
        raise SpecentError(f"model: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise SpecentError(
            f"model: the arguments of kind={name!r} cannot be used ({type(error).__name__}: {str(error)[:200]})"
        ) from error


def check_table(table: Mapping[str, Any]) -> str:
    """The kind of model that a table names, of which it must have the keys.

    Examples
    --------
    >>> check_table({"kind": "ddpm", "fodler": "trained"})
    Traceback (most recent call last):
    specent.errors.SpecentError: 'fodler' is no key of model of kind 'ddpm'; did you mean 'folder'?
    """
    name = table.get("kind")
    if not isinstance(name, str) or name not in (*KINDS, PYTHON):
        raise SpecentError(f"model: kind={brief(name)} must be one of {', '.join(map(repr, (*KINDS, PYTHON)))}")
    if name != PYTHON:
        fields = {key: value for key, value in table.items() if key != "kind"}
        check_keys(fields, f"model of kind {name!r}", KINDS[name].parameters)
    return name


def _located(value: Any, argument: str, folder: Path, hub: bool) -> Any:
    """A path relative to the folder of the plan; the name on the hub of what is no file of this machine."""
    if hub and isinstance(value, dict):
        return {label: _located(one, f"{argument}.{label}", folder, hub) for label, one in value.items()}
    path = folder / as_path(instance(value, str, argument, "give a path as text"), argument)
    try:
        foreign = hub and not path.exists() and not Path(value).exists()
    except OSError as error:
        raise SpecentError(f"{argument}={brief(value)} cannot be looked up ({error.strerror}); give a path") from error
    return value if foreign else path


def table_of(model: Model) -> dict[str, Any]:
    """How a plan file names a model made in Python: a mixture by its numbers, the shipped digits by their name.

    Examples
    --------
    >>> import specent as sp
    >>> table_of(sp.models.digits())
    {'kind': 'digits'}
    """
    if isinstance(model, MixtureModel):
        source = model.source
        return {
            "kind": "mixture", "labels": list(source.component_labels), "dimension": source.dimension,
            "means": source.means.tolist(), "variance": source.variances.tolist(), "weights": source.weights.tolist(),
        }  # fmt: skip
    shipped = read_card(shipped_folder("datasets") / DIGITS)["sha256"]
    if model.identity.get("checkpoint_sha256") == shipped and model.identity == models.digits().identity:
        return {"kind": "digits"}
    return {"kind": PYTHON}
