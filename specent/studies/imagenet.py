"""What the studies of ImageNet with EDM2 share: settings, networks, and a folder of finished classes."""

# no postponed annotations: the command line reads those of a parent class in the module of the child
import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.studies.outputs import existing_folder
from specent.studies.settings import SampledSettings
from specent.untrusted import read_regular

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from specent.models import EDM2Model

_MOST_BYTES = 1 << 24
FEW_CLASSES = 12
"""Up to so many classes each has a progress bar of its own; more share one."""


@dataclass(frozen=True)
class ImageNetSettings(SampledSettings):
    """Settings of every study of ImageNet.

    Parameters
    ----------
    network : Path, optional
        The conditional network: a published .pkl, a converted .safetensors, or a folder.
    null_network : Path, optional
        The unconditional network; that beside the conditional one if both are in a folder.
    label_names : Path, optional
        Text file with the name of a class on every line; they are numbers if not given.
    folder : Path, optional
        Folder of the profiles of every class; one beside the output by default.
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
        super().__post_init__()

    @property
    def tiny_network(self) -> str | None:
        """What the networks are where none are given."""
        return "random" if self.network is None else None

    def grid(self) -> "NDArray[np.float64]":
        """Noise levels of the chain."""
        from specent.schedules import edm_grid

        return edm_grid(self.steps, self.sigma_min, self.sigma_max, self.rho)

    def options(self) -> dict[str, Any]:
        """Arguments of `specent.sample` that follow from the settings alone."""
        from specent.schedules import VE

        names = ("samples", "seed", "device", "batch_size", "precision", "compiled")
        return {"schedule": VE(), "time": self.grid(), **{name: getattr(self, name) for name in names}}


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


def class_folder(folder: Path | None, output: Path) -> Path:
    """The folder of the classes, which is created if it is not there."""
    return existing_folder(output.with_name(f"{output.stem}_classes") if folder is None else folder)


def finished_class(file: Path, key: dict[str, Any], overwrite: bool) -> "xr.Dataset | None":
    """The archive of a class, if there is one that was written with the same settings.

    Parameters
    ----------
    file : Path
        The archive.
    key : dict
        The settings that its numbers depend on.
    overwrite : bool
        Whether an archive of other settings may be replaced; otherwise it is an error.
    """
    from specent import archive

    if not file.exists():
        return None
    plain = json.loads(json.dumps(key))
    with archive.open(file) as dataset:
        before = json.loads(dataset.attrs["settings"]).get("class_key", {})
        if before == plain:
            return dataset.load()
    if overwrite:
        return None
    differs = sorted(name for name in {*before, *plain} if before.get(name) != plain.get(name))
    raise SpecentError(
        f"folder={str(file.parent)!r} holds {file.name} of other settings ({', '.join(differs)}); choose another "
        "folder, or pass overwrite=True to sample such classes again"
    )


def join_classes(profiles: "list[xr.Dataset]") -> "xr.Dataset":
    """The profiles of all classes in one dataset."""
    from specent import analysis, schema

    if len(profiles) == 1:
        return profiles[0]
    # of a thousand settings that differ in the class alone one will do
    parts = [json.loads(profiles[0].attrs["settings"])]
    return schema.with_settings(analysis.combine(*profiles, along="partition"), parts=parts)
