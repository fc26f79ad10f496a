"""Where a study keeps its trajectories while it samples, so that an interruption costs a shard and not the study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specent.studies.outputs import existing_folder
from specent.studies.settings import ShardedSettings

if TYPE_CHECKING:
    import xarray as xr

    from specent.runs import Plan


@contextmanager
def run_folder(settings: ShardedSettings, output: Path) -> Iterator[Path]:
    """The run folder of a study: that of its settings, or one beside the output, which is removed at the end.

    A study of several plans keeps a run folder of each in it. If the ``with`` block fails, or the process is killed,
    the folder stays, and the same study goes on with it.

    Parameters
    ----------
    settings : ShardedSettings
        With the folder, if it is to stay.
    output : Path
        The first archive of the study.

    Yields
    ------
    Path
    """
    if settings.out is not None:
        yield existing_folder(settings.out, "out")
        return
    folder = output.with_name(f"{output.stem}_run")
    yield folder
    for part in folder.glob("*/run.json"):
        remove_run(part.parent)
    remove_run(folder)


def remove_run(folder: Path) -> None:
    """Remove a run from its folder, and the folder if nothing else is in it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name, "run")
    ...     folder.mkdir()
    ...     _ = Path(folder, "run.json").write_text("{}")
    ...     remove_run(folder)
    ...     folder.exists()
    False
    """
    for pattern in ("shard-*.nc", "run.json", ".lock"):
        for file in folder.glob(pattern):
            file.unlink()
    # what else is there, such as shards that were set aside, is for the user to look at
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def sampled(folder: Path, plan: Plan, settings: ShardedSettings, **options: Any) -> xr.Dataset:
    """Carry a plan out in a run folder, and open it.

    Parameters
    ----------
    folder : Path
        The run folder, see `run_folder`.
    plan : Plan
        What is sampled.
    settings : ShardedSettings
        With the device and the scheduler.
    **options
        As in `specent.run`.

    Returns
    -------
    Dataset
        Kind ``trajectories``, lazy; the samples of the plan, of which the folder may hold more.
    """
    from specent import archive, runs

    runs.run(plan, folder, device=settings.device, client=settings.scheduler, **options)
    return archive.open(folder).isel(sample=slice(plan.samples))
