"""A plan: what is to be sampled, as a value that can be kept, compared and carried out in parts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from specent.analysis.bootstrap import GROUP
from specent.arguments import brief
from specent.errors import SpecentError
from specent.files import output_path, sha256, write_whole
from specent.guidance import Guidance, Setting
from specent.models.base import Model, resolve_device
from specent.models.modules import weights_sha256
from specent.models.protocol import Denoiser, as_model
from specent.partitions import Partition
from specent.runs import plan_file
from specent.sampling.precision import Precision, check_precision
from specent.sampling.preparation import make_setup
from specent.sampling.record import Record, Statistics
from specent.sampling.scoring import Scoring
from specent.sampling.setup import Setup
from specent.schedules import Schedule

_WEIGHTS = "weights_sha256"


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be sampled: the arguments of `specent.sample` on which its numbers depend.

    Parameters
    ----------
    model : Model or Denoiser
        A class-conditional denoiser.
    schedule : Schedule
        The noise schedule of the chain.
    time : array_like, shape (time,)
        Ascending times from data to noise.
    samples : int
        Trajectories per class, at least 2. A run may grow: carried out again with more samples, the new ones are added.
    partitions : Partition, str, or iterable of these
        Partitions whose entropy production is recorded.
    guidance : Guidance, FeedbackGuidance, float, or sequence of these
        Guidance settings.
    seed : int
        Seed of the random streams.
    classes, candidates : sequence of str, optional
        The conditions that drive trajectories, and those that are scored.
    record : Record, Statistics, "trajectories" or "statistics"
        What is kept: trajectories, and what of them beside the evidence, or sums over them, of which the number of
        samples does not decide the size. Statistics need named partitions, and samples in multiples of 25.
    scoring : Scoring, optional
        Which candidates are evaluated; all of them by default.
    shared_noise : bool
        Whether all classes share their noise.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic of the network.

    Raises
    ------
    SpecentError
        If an argument cannot be used.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> plan = Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(16), samples=100)
    >>> plan.definition["classes"]
    ['left', 'right']
    """

    model: Model | Denoiser
    schedule: Schedule
    time: ArrayLike
    samples: int
    partitions: Partition | str | Iterable[Partition | str] = ()
    guidance: Setting | float | Sequence[Setting | float] = Guidance()  # noqa: RUF009  (frozen)
    seed: int = 0
    classes: Sequence[str] | None = None
    candidates: Sequence[str] | None = None
    record: Record | Statistics | Literal["trajectories", "statistics"] = Record()  # noqa: RUF009  (frozen)
    scoring: Scoring | None = None
    shared_noise: bool = False
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_precision(self.precision)
        object.__setattr__(self, "record", _record(self.record))
        for name in ("time", "partitions", "guidance", "classes", "candidates"):
            object.__setattr__(self, name, _unchanging(getattr(self, name)))
        object.__setattr__(self, "_setup", self._worked_out())
        if self.statistics is not None:
            _refuse_without_statistics(self._setup)  # type: ignore[attr-defined]

    @property
    def statistics(self) -> Statistics | None:
        """Which statistics are kept; None if trajectories are."""
        return self.record if isinstance(self.record, Statistics) else None

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, model: Model | Denoiser | None = None) -> Self:
        """Read a plan from a file.

        Nothing in the file is executed, and nothing is fetched or written. Paths in it are relative to its folder.

        Parameters
        ----------
        path : str or path-like
            The file, ending in ``.toml`` or ``.json``.
        model : Model or Denoiser, optional
            The model, if only Python can make it; taken instead of the one that the file names.

        Returns
        -------
        Plan

        Raises
        ------
        SpecentError
            If the file is no plan, of another version, very large, or holds a key or a value that cannot be used, which
            are named; or if the model is not the one that the file describes, with the first difference.

        Examples
        --------
        >>> Plan.read("nowhere.toml")
        Traceback (most recent call last):
        specent.errors.SpecentError: plan 'nowhere.toml' cannot be read (No such file or directory)
        """
        found, identity = plan_file.read_arguments(path, model)
        try:
            plan = cls(**found)
            differs = "" if identity is None else model_difference(identity, plan.definition["model"])
            if differs:
                raise SpecentError(f"model: it is another one: {differs}; use the model of the plan")
        except SpecentError as error:
            raise plan_file.about(plan_file.plan_path(path), error) from error
        return plan

    def write(
        self, path: str | os.PathLike[str], *, model: Mapping[str, Any] | None = None, overwrite: bool = False
    ) -> Path:
        """Write the plan to a file that `read` understands; the plan that it reads has the same `definition`.

        Parameters
        ----------
        path : str or path-like
            The file, ending in ``.toml`` or ``.json``.
        model : dict, optional
            How the file names the model, such as ``{"kind": "edm2", "source": "network.pkl"}``. A Gaussian mixture is
            written out, and the shipped network of digits has a name; of any other model the file keeps the identity,
            and is read with ``Plan.read(path, model=...)``.
        overwrite : bool
            Replace an existing file.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        SpecentError
            If the file cannot be written, or would be too large to be read.

        Examples
        --------
        >>> import tempfile, specent as sp
        >>> plan = Plan(sp.models.digits(), sp.schedules.VE(), sp.schedules.edm_grid(8), samples=10, partitions="full")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Plan.read(plan.write(Path(folder, "plan.toml"))).definition == plan.definition
        True
        """
        target = output_path(path, plan_file.SUFFIXES, overwrite=overwrite)
        setup: Setup = self._setup  # type: ignore[attr-defined]
        values = plan_file.contents(
            setup,
            self.precision,
            model,
            self.definition["model"],
            classes=None if self.classes is None else list(setup.drivers),
            candidates=None if self.candidates is None else list(setup.candidates),
            scoring=None if self.scoring is None else asdict(self.scoring),
            record=self._kept(setup) if self.statistics else json.loads(json.dumps(asdict(_record(self.record)))),
        )
        return write_whole(plan_file.text_of(values, target.suffix), target, overwrite=overwrite)

    def setup(self, device: str) -> Setup:
        """The run, worked out for a device."""
        setup: Setup = self._setup  # type: ignore[attr-defined]
        return replace(setup, device=resolve_device(device))

    def _worked_out(self) -> Setup:
        return make_setup(
            as_model(self.model), self.schedule, self.time, self.samples, self.partitions, self.guidance, self.seed,
            "cpu", self.classes, self.candidates, _kept_per_trajectory(self.record), self.shared_noise,
            self.scoring,
        )  # fmt: skip

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The plan as plain values, defaults worked out, without the number of samples, which may grow.

        Two plans are carried out into the same folder only if these are the same. A partition is its name and a digest
        of its definition. A model whose identity names no digest has one of its weights, as they are now.
        """
        setup: Setup = self._setup  # type: ignore[attr-defined]
        return {
            "model": _identity(setup.model),
            "schedule": json.loads(setup.schedule.to_json()),
            "time": [float(value) for value in setup.time],
            "classes": list(setup.drivers),
            "candidates": list(setup.candidates),
            "partitions": [[partition.name, _digest(partition.to_json())] for partition in setup.partitions],
            "guidance": [json.loads(setting.to_json()) for setting in setup.guidance],
            "seed": setup.seed,
            "shared_noise": setup.shared_noise,
            "record": self._kept(setup),
            "precision": self.precision,
            # a plan without it is that of a folder from before there was any
            **({} if setup.scoring is None else {"scoring": {"drop": setup.scoring.drop, "lag": setup.scoring.lag}}),
        }

    def _kept(self, setup: Setup) -> dict[str, Any]:
        if self.statistics is not None:
            return {"statistics": {"replicates": self.statistics.replicates, "seed": self.statistics.seed}}
        return {
            "predictions": [float(value) for value in np.atleast_1d(setup.record.predictions)],
            "distances": setup.record.keeps_distances(len(setup.candidates)),
        }


def _unchanging(value: Any) -> Any:
    """A list, an array, or what can be gone through once only, so that the plan has it later as it is now."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return tuple(value) if isinstance(value, (list, Iterator)) else value


def _identity(model: Model) -> dict[str, Any]:
    """What a model says of itself, with a digest of its weights if it has none: others of the same name would fit."""
    identity: dict[str, Any] = json.loads(json.dumps(model.identity))
    digest = "" if model.exact or "sha256" in json.dumps(identity) else weights_sha256(model)
    return identity | ({_WEIGHTS: digest} if digest else {})


def _record(record: object) -> Record | Statistics:
    texts: dict[object, Record | Statistics] = {"trajectories": Record(), "statistics": Statistics()}
    if isinstance(record, str) and record in texts:
        return texts[record]
    if isinstance(record, (Record, Statistics)):
        return record
    raise SpecentError(
        f"record={brief(record)}: use 'trajectories', 'statistics', specent.Record(...) or specent.Statistics(...)"
    )


def _kept_per_trajectory(record: object) -> Record:
    """What a trajectory keeps until its statistics are taken: nothing but what they need."""
    return record if isinstance(record, Record) else Record(distances=False)


def _refuse_without_statistics(setup: Setup) -> None:
    """Refuse a run of which no statistics can be kept."""
    if not setup.partitions:
        raise SpecentError(
            "record='statistics': statistics are of partitions, and the plan names none; pass partitions=[...], or "
            "record='trajectories', of which any partition can be analysed later"
        )
    if setup.samples % GROUP:
        whole = setup.samples // GROUP * GROUP
        choices = f"{whole} or {whole + GROUP}" if whole else str(GROUP)
        raise SpecentError(f"samples={setup.samples}: statistics are kept of groups of {GROUP} samples; take {choices}")
    drivers = set(setup.drivers)
    for partition in setup.partitions:
        idle = next((label for label in partition.labels if label not in drivers), None)
        if idle is not None:
            raise SpecentError(
                f"record='statistics': the label {idle!r} of partition {partition.name!r} drives no trajectory; name "
                "it in classes, or leave the partition out"
            )


def _digest(text: str) -> str:
    return sha256(text.encode())[:16]


def model_difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Where what is said of two models differs first; what was written before weights had a digest goes without it."""
    return first_difference(there, here if _WEIGHTS in there else _without_weights(here))


def plan_difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Where two definitions of plans differ first, in words; empty if they are the same."""
    model = there.get("model")
    older = isinstance(model, dict) and _WEIGHTS not in model
    return first_difference(there, {**here, "model": _without_weights(here["model"])} if older else here)


def _without_weights(model: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key != _WEIGHTS}


def first_difference(there: object, here: object, where: str = "") -> str:
    """Where two plain values differ first, in words; empty if they are the same.

    Examples
    --------
    >>> first_difference({"seed": 1, "time": [1, 2]}, {"seed": 1, "time": [1, 3]})
    'time[1] is 2 there and 3 here'
    >>> first_difference({"seed": True}, {"seed": 1})
    'seed is True there and 1 here'
    """
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            name = f"{where}.{key}" if where else str(key)
            if key not in there or key not in here:
                return f"{name} is missing {'there' if key not in there else 'here'}"
            if found := first_difference(there[key], here[key], name):
                return found
        return ""
    if isinstance(there, list) and isinstance(here, list):
        for i, (one, other) in enumerate(zip(there, here, strict=False)):
            if found := first_difference(one, other, f"{where}[{i}]"):
                return found
        return "" if len(there) == len(here) else f"{where} has {len(there)} entries there and {len(here)} here"
    # 1, 1.0 and true are equal, and differ in the digest by which shards name their plan
    same = there == here and type(there) is type(here)
    return "" if same else f"{where} is {brief(there)} there and {brief(here)} here"
