"""What the studies of ImageNet with EDM2 share: settings, networks, and a folder in which class after class is done.

Each class has plans of its own, because it is scored against the null condition alone. They are carried out in shards
in run folders within that of the study; once the profiles of a class are written, its trajectories are removed.
"""

# no postponed annotations: the command line reads those of a parent class in the module of the child
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm.auto import tqdm

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.studies.outputs import existing_folder, mark_tiny
from specent.studies.runs import remove_run, sampled
from specent.studies.settings import ShardedSettings
from specent.untrusted import read_regular

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from specent.models import EDM2Model
    from specent.runs import Plan

_MOST_BYTES = 1 << 24
FEW_CLASSES = 12
"""Up to so many classes each has a progress bar of its own; more share one."""


@dataclass(frozen=True)
class ImageNetSettings(ShardedSettings):
    """Settings of every study of ImageNet.

    Parameters
    ----------
    network : Path, optional
        The conditional network: a published .pkl, a converted .safetensors, or a folder.
    null_network : Path, optional
        The unconditional network; that beside the conditional one if both are in a folder.
    label_names : Path, optional
        Text file with the name of a class on every line; they are numbers if not given.
    out : Path, optional
        Folder of the study, which stays: the profiles of every class, and the trajectories of the one that is being
        sampled. One beside the output by default.
    folder : Path, optional
        Another name of `out`.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works, with random networks.
    classes : tuple of str
        Classes to sample, by name or number; "all".
    samples : int
        Trajectories of a class and setting, and as many of the null condition.
    steps : int
        Noise levels of the chain.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    rho : float
        How strongly levels crowd at low noise.
    replicates : int
        Bootstrap replicates; they make up most of the archive.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic of the networks.
    compiled : bool
        Run the networks through torch.compile.
    batch_size : int, optional
        Trajectories at a time; the numbers do not depend on it.
    """

    network: Path | None = None
    null_network: Path | None = None
    label_names: Path | None = None
    folder: Path | None = None
    tiny: bool = False
    classes: tuple[str, ...] = ("all",)
    samples: int = 300
    steps: int = 64
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    replicates: int = 100
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    compiled: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.rho, "rho", least=1, most=100)
        arguments.whole(self.replicates, "replicates", least=50, most=100_000)
        if self.batch_size is not None:
            arguments.whole(self.batch_size, "batch_size", least=1)
        if self.network is None and not self.tiny:
            raise SpecentError(
                "network=None: give the conditional network, and null_network= the unconditional one; docs/edm2.md "
                "says where they are. With tiny=True (--tiny) random ones are written and used"
            )
        if self.folder is not None:
            if self.out is not None:
                raise SpecentError(
                    f"out={str(self.out)!r} and folder={str(self.folder)!r} are two names of one setting; give out"
                )
            object.__setattr__(self, "out", self.folder)
        super().__post_init__()

    @property
    def tiny_network(self) -> str | None:
        """What the networks are where none are given."""
        return "random" if self.network is None else None

    def grid(self) -> "NDArray[np.float64]":
        """Noise levels of the chain."""
        from specent.schedules import edm_grid

        return edm_grid(self.steps, self.sigma_min, self.sigma_max, self.rho)

    def plan(self, model: "EDM2Model", **options: Any) -> "Plan":
        """A plan on the grid of the settings."""
        from specent.runs import Plan
        from specent.schedules import VE

        names = ("samples", "seed", "precision")
        return Plan(model, VE(), self.grid(), **({name: getattr(self, name) for name in names} | options))


def open_networks(settings: ImageNetSettings, stack: ExitStack, vae: str | None = None) -> "EDM2Model":
    """The two networks as a model, random ones for a tiny run without networks.

    Parameters
    ----------
    settings : ImageNetSettings
        Which networks.
    stack : ExitStack
        Removes the files of random networks when it closes.
    vae : str, optional
        Autoencoder for pictures.
    """
    from specent import models
    from specent.models.edm2.tiny_networks import write_tiny

    network, null = settings.network, settings.null_network
    if network is None:
        network, null = write_tiny(Path(stack.enter_context(tempfile.TemporaryDirectory())))
    labels = None if settings.label_names is None else lines_of(settings.label_names)
    model = models.edm2(network, null=null, labels=labels, vae=vae)
    if not model.null:
        raise SpecentError(
            f"null_network=None: classes are compared with the unconditional network, which {str(network)!r} does not "
            "bring; give the '-uncond' network of the same data"
        )
    return model


def lines_of(path: Path) -> list[str]:
    """Names of the classes out of a text file."""
    try:
        text = read_regular(Path(path).expanduser(), _MOST_BYTES).decode("utf-8")
        return [line.strip() for line in text.splitlines()]
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecentError(f"label_names={str(path)!r} cannot be read ({error}); give a text file") from error


def labels_of(argument: str, names: tuple[str, ...], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels of the model, by name or number; "all" or "none" alone.

    Examples
    --------
    >>> labels_of("classes", ("1", "cat"), ("cat", "dog"))
    ('dog', 'cat')
    """
    if names in (("all",), ("none",)):
        return labels if names == ("all",) else ()
    known = {str(i): label for i, label in enumerate(labels)} | {label: label for label in labels}
    chosen = tuple(dict.fromkeys(known.get(name, "") for name in names))
    if "" in chosen or len(chosen) < len(names) or not chosen:
        raise SpecentError(
            f"{argument}={brief(list(names))} must be distinct classes of the network, by name or number; it "
            f"has {len(labels)} of them, {brief(list(labels[:3]))} first"
        )
    return chosen


def class_folder(out: Path | None, output: Path) -> Path:
    """The folder of the study, which is created if it is not there."""
    return existing_folder(output.with_name(f"{output.stem}_classes") if out is None else out, "out")


@dataclass(frozen=True)
class ClassStudy:
    """A study of class after class.

    Parameters
    ----------
    settings : ImageNetSettings
        Its settings.
    folder : Path
        Its folder, see `class_folder`.
    plans : callable
        Plans of a label, by what their run folder is called behind the number of the class.
    analyse : callable
        Profiles from the trajectories of these plans.
    keeps : bool
        Whether the run folder of a class stays when its profiles are written.
    """

    settings: ImageNetSettings
    folder: Path
    plans: "Callable[[str], Mapping[str, Plan]]"
    analyse: "Callable[[Mapping[str, xr.Dataset]], xr.Dataset]"
    keeps: bool = False

    def profiles(self, numbers: Mapping[str, int]) -> "list[xr.Dataset]":
        """Profiles of the classes, of which the numbers are given: those in the folder, and new ones."""
        plans = {label: self.plans(label) for label in numbers}
        files = {label: self.folder / f"{number:04d}.nc" for label, number in numbers.items()}
        # what is in the way is said before any work
        done = {label: self._finished(file, plans[label]) for label, file in files.items()}
        few = len(numbers) <= FEW_CLASSES
        for label in tqdm(numbers, desc="classes", unit="class", disable=few):
            if done[label] is None:
                done[label] = self._class(files[label], plans[label], shows=few)
        return [profiles for profiles in done.values() if profiles is not None]

    def _class(self, file: Path, plans: "Mapping[str, Plan]", shows: bool) -> "xr.Dataset":
        """Sample a class, and write its profiles."""
        from specent import archive, schema

        folders = {name: file.with_name(f"{file.stem}_{name}") for name in plans}
        runs = {}
        for name, plan in plans.items():
            if self.settings.overwrite:
                _clear_other(folders[name], plan)
            runs[name] = sampled(
                folders[name],
                plan,
                self.settings,
                batch_size=self.settings.batch_size,
                compiled=self.settings.compiled,
                progress=shows,
            )
        profiles = schema.with_settings(self.analyse(runs).load(), class_key=self._key(plans.values()))
        profiles = mark_tiny(profiles, self.settings.tiny_network)
        archive.write(profiles, file, overwrite=self.settings.overwrite)
        for folder in folders.values() if not self.keeps else ():
            remove_run(folder)
        return profiles

    def _key(self, plans: "Iterable[Plan]") -> list[dict[str, Any]]:
        """What decides the profiles of a class."""
        more = {"replicates": self.settings.replicates}
        return [{**plan.definition, "samples": plan.samples, **more} for plan in plans]

    def _finished(self, file: Path, plans: "Mapping[str, Plan]") -> "xr.Dataset | None":
        """The profiles of a class, if there are some of the same plans."""
        from specent import archive
        from specent.runs.plan import first_difference

        if not file.exists():
            return None
        with archive.open(file) as dataset:
            before = json.loads(dataset.attrs["settings"]).get("class_key", {})
            differs = first_difference(before, self._key(plans.values()))
            if not differs:
                return dataset.load()
        if self.settings.overwrite:
            return None
        raise SpecentError(
            f"out={str(file.parent)!r} holds {file.name} of another plan: {differs}; choose another folder, or pass "
            "overwrite=True to sample such classes again"
        )


def _clear_other(folder: Path, plan: "Plan") -> None:
    """Remove the run of another plan from its folder."""
    from specent.archive.run_folder import RECORD, RunFolder
    from specent.runs.plan import plan_difference

    if (folder / RECORD).exists() and plan_difference(RunFolder.read(folder).plan, plan.definition):
        remove_run(folder)


def join_classes(profiles: "list[xr.Dataset]") -> "xr.Dataset":
    """The profiles of all classes in one dataset."""
    from specent import analysis, schema

    if len(profiles) == 1:
        return profiles[0]
    # of a thousand settings that differ in the class alone one will do
    parts = [json.loads(profiles[0].attrs["settings"])]
    return schema.with_settings(analysis.combine(*profiles, along="partition"), parts=parts)
