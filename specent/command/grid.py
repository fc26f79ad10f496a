"""The command ``specent grid``: noise levels for a sampler, from what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from specent.command.interface import ERRORS, app
from specent.errors import SpecentError, visible

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from specent.schedules import Schedule

Kind = Literal["rescaled", "class-share", "arctan", "sine"]


@app.command(name="grid", help_epilogue=ERRORS)
def grid(
    path: Path,
    *,
    steps: int,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    kind: Kind = "rescaled",
    scale: float = 0.5,
    share: float = 0.5,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write noise levels for a sampler as JSON, where the measured denoiser has most to do. For instance:
    specent grid digits.nc --steps 16 -o grid.json

    Parameters
    ----------
    path : Path
        Archive or run folder. For rescaled and class-share it holds unguided trajectories with predictions kept at
        three times or more; for arctan and sine any archive with noise levels serves.
    steps : int
        Number of noise levels, at least 2.
    output : Path
        JSON file to write: noise levels from the highest down, and sigmas and timesteps for diffusers where it has a
        scheduler of that kind.
    kind : str
        rescaled: by the denoising error along the paths; class-share: part of it by the rate at which the class is
        decided; arctan, sine: in closed form, for data of standard deviation SCALE.
    scale : float
        Standard deviation of the data, of arctan and sine.
    share : float
        Part of the steps for the class, of class-share.
    sigma_min : float
        Smallest noise level; that of the archive by default.
    sigma_max : float
        Largest noise level; that of the archive by default.
    overwrite : bool
        Replace an existing file.
    """
    from specent import archive, arguments, files, schedules
    from specent.analysis.exported_grids import exported_grid

    target = files.output_path(output, ".json", overwrite=overwrite, argument="--output")
    steps = arguments.whole(steps, "steps", least=2, most=10**7)
    dataset = archive.open(path)
    if "schedule" not in dataset.attrs:
        raise SpecentError(f"{visible(str(path))} names no noise schedule; give an archive of trajectories or profiles")
    schedule = schedules.from_json(str(dataset.attrs["schedule"]))
    time = _times(dataset, schedule, kind, steps, scale, share, sigma_min, sigma_max)
    made: dict[str, Any] = {"kind": kind, "steps": steps, "source": path.name, **exported_grid(time, schedule)}
    files.write_whole(json.dumps(made, indent=1) + "\n", target, overwrite=overwrite)
    levels = made["noise_levels"]
    print(f"{visible(str(output))}: {steps} noise levels from {levels[0]:.4g} to {levels[-1]:.4g}, {kind}")


def _times(
    dataset: xr.Dataset, schedule: Schedule, kind: Kind, steps: int, scale: float, share: float,
    low: float | None, high: float | None,
) -> NDArray[np.float64]:  # fmt: skip
    """The times of the grid, between the ends of the archive's own unless others are given."""
    import numpy as np

    from specent import analysis
    from specent.analysis import grids
    from specent.analysis.errors_of_paths import path_error

    levels = np.exp(-0.5 * dataset["log_snr"].values)
    ends = float(levels.min()) if low is None else low, float(levels.max()) if high is None else high
    if kind in ("arctan", "sine"):
        return getattr(grids, kind)(steps, scale, *ends, schedule)  # type: ignore[no-any-return]
    error = path_error(dataset)
    if kind == "rescaled":
        return grids.rescaled(error, steps, *ends, schedule)
    labels = [str(name) for name in dataset["class_label"].values]
    profile = analysis.entropy(dataset, _all(labels), estimator="denoiser_gap")
    plain = int(np.flatnonzero(profile["guidance_scale"].values == 1.0)[0])
    return grids.class_share(error, profile.isel(guidance=plain), steps, share, *ends, schedule)


def _all(labels: list[str]) -> Any:
    from specent.partitions import NULL, Partition

    return Partition.full([label for label in labels if label != NULL])
