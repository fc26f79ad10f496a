"""The files of a study: where they go, and what they say of the study that wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from specent.arguments import brief
from specent.errors import SpecentError
from specent.files import name_part
from specent.studies.settings import StudySettings, stored_settings

if TYPE_CHECKING:
    import xarray as xr


def output_paths(output: Path, *parts: str, overwrite: bool) -> list[Path]:
    """The archive of a study, and those beside it that are called after their part of the study.

    Parameters
    ----------
    output : Path
        The first archive.
    *parts : str
        What the others hold, perhaps labels of classes; it is appended to the name of the first.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of Path
        All of them, before any work: none of them exists, or they may be replaced.

    Examples
    --------
    >>> [path.name for path in output_paths(Path("digits.nc"), "profiles", overwrite=True)]
    ['digits.nc', 'digits_profiles.nc']
    """
    from specent import archive

    first = archive.check_output(output, overwrite=overwrite)
    beside = [first.with_name(f"{first.stem}_{name_part(part)}.nc") for part in parts]
    return [first, *(archive.check_output(path, overwrite=overwrite) for path in beside)]


def existing_folder(folder: Path, argument: str = "folder") -> Path:
    """The folder, which is created if it is not there.

    Raises
    ------
    SpecentError
        If that is not possible.
    """
    try:
        path = Path(folder).expanduser()
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecentError(
            f"{argument}={brief(str(folder))} cannot be created ({error}); choose another folder"
        ) from error
    return path


def write_results(
    dataset: xr.Dataset, path: Path, recipe: str, settings: StudySettings, *, tiny_network: str | None = None
) -> xr.Dataset:
    """Write a dataset of a study with the settings of the study in its provenance.

    Parameters
    ----------
    dataset : Dataset
        What the study computed.
    path : Path
        Archive to write.
    recipe : str
        Name of the recipe.
    settings : StudySettings
        Its settings.
    tiny_network : str, optional
        What the network of a tiny run is ("random"), which the title of the archive then says.

    Returns
    -------
    Dataset
        As it was written.
    """
    from specent import archive, schema

    # who computed does not matter to the numbers
    dataset = schema.with_settings(dataset, recipe=recipe, recipe_settings=stored_settings(settings, "scheduler"))
    dataset = mark_tiny(dataset, tiny_network)
    archive.write(dataset, path, overwrite=settings.overwrite)
    return dataset


def mark_tiny(dataset: xr.Dataset, network: str | None) -> xr.Dataset:
    """The dataset with a title that says that it comes from a tiny run on such a network; unchanged for None."""
    if network is None:
        return dataset
    return dataset.assign_attrs(title=f"{dataset.attrs['title']} (tiny run, {network} network)")
