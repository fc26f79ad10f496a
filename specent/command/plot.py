"""The command ``specent plot``: figures of archives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter

from specent.command.interface import Names, app, one_or_more
from specent.errors import SpecentError

if TYPE_CHECKING:
    import xarray as xr

    from specent.partitions import Partition


@app.command(name="plot")
def plot(
    *paths: Path,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    overwrite: bool = False,
    title: str | None = None,
    axis: str | None = None,
    partition: Names = (),
    estimator: Names = (),
    guidance: Names = (),
    figure: Names = (),
) -> None:
    """Draw archives: one self-contained page (.html), or a picture of it (.png, needs Chromium).

    Archives of trajectories and profiles are analysed first; what is drawn follows from what they hold. For instance:
    specent plot digits.nc -o digits.html --partition full "3 | 8" --estimator exact path --axis sigma

    Parameters
    ----------
    paths : Path
        One or more archives of any kind.
    output : Path
        File to write, ending in .html or .png.
    overwrite : bool
        Replace an existing file.
    title : str
        Heading of the page; that of the first archive by default.
    axis : str
        Horizontal axis of the curves: log_snr, sigma, log_sigma or time.
    partition : tuple of str
        Names of the partitions to draw; all of them by default. Of an archive of trajectories any other can be asked,
        as "full", "cat | dog", "cat | rest" or "cat, dog | car".
    estimator : tuple of str
        Names of the estimators to draw; all of them by default.
    guidance : tuple of str
        Guidance settings to draw; all of them by default.
    figure : tuple of str
        Figures to draw, by name; all that the archives allow by default.
    """
    from specent import plotting

    plotting.figure_path(output, overwrite=overwrite)
    given = one_or_more(paths, "plot")
    called: dict[str, str] = {}
    datasets = [made for path in given for made in _drawable(path, partition, called)]
    wanted = {
        "partition": tuple(called.get(text, text) for text in partition),
        "estimator": estimator,
        "guidance": guidance,
    }
    write: Callable[..., Path] = plotting.picture if output.suffix == ".png" else plotting.page
    written = write(
        datasets,
        output,
        title=title,
        axis=axis,
        figures=figure or None,
        overwrite=overwrite,
        **{name: chosen or None for name, chosen in wanted.items()},
    )
    print(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")


def _drawable(path: Path, partition: tuple[str, ...], called: dict[str, str]) -> list[xr.Dataset]:
    """The dataset in an archive and what follows from it: figures compute nothing themselves.

    Partitions that are asked of trajectories get a name; `called` collects it.
    """
    from specent import analysis, archive

    dataset = archive.open(path)
    made = [dataset]
    if dataset.attrs["specent_kind"] == "trajectories":
        asked = [_question(text, dataset) for text in partition]
        called.update({text: question.name for text, question in zip(partition, asked, strict=True)})
        # trajectories of which nothing was asked may still hold pictures
        if asked or "definition" in dataset.coords or "prediction" not in dataset:
            made.append(analysis.entropy(dataset, asked or None))
    if made[-1].attrs["specent_kind"] == "profiles":
        made += _summaries(made[-1])
    return made


def _question(text: str, runs: xr.Dataset) -> Partition:
    """A partition that the runs were sampled with, by its name, or a new one."""
    from specent.partitions import Partition
    from specent.schema import NULL

    named = [str(name) for name in runs["partition"].values] if "partition" in runs.coords else []
    if text in named:
        return Partition.from_json(str(runs["definition"].sel(partition=text).item()))
    if "|" not in text and text.strip() != "full":
        known = ", ".join(map(repr, named[:8])) + (", ..." if len(named) > 8 else "")
        raise SpecentError(
            f"partition={text!r} is none of the archive's ({known}), nor a new one such as 'full', 'cat | dog' or "
            "'cat | rest'"
        )
    return Partition.parse(text, [str(name) for name in runs["candidate"].values if name != NULL])


def _summaries(profiles: xr.Dataset) -> list[xr.Dataset]:
    """Speciation of profiles and, over dimensions under a schedule whose law is known, its scaling."""
    from specent import analysis, schedules

    schedule = schedules.from_json(str(profiles.attrs["schedule"])) if "schedule" in profiles.attrs else None
    law = None if schedule is None or profiles.sizes.get("dimension", 0) < 3 else schedule.scaling_law
    scaled = law is not None
    try:
        if schedule is None or law is None:
            return [analysis.speciation(profiles, axis="log_snr")]
        spec = analysis.speciation(profiles, axis=schedule.natural_axis)
        return [spec, analysis.fit_scaling(spec, law)]
    except SpecentError as error:
        kept, left_out = (profiles, []) if scaled else _falling(profiles)
        if not left_out:
            # curves that never fall to half can still be drawn
            print(f"specent: drawn without places: {error}", file=sys.stderr)
            return []
        names = ", ".join(map(repr, left_out[:6])) + (", ..." if len(left_out) > 6 else "")
        print(f"specent: drawn without the places of {names}, which never fall to half of their start", file=sys.stderr)
        return [analysis.speciation(kept)]


def _falling(profiles: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """The profiles without the partitions, or the estimators, that never fall to half; none left out if all are."""
    from specent import analysis

    def falls(part: xr.Dataset) -> bool:
        try:
            analysis.speciation(part)
        except SpecentError:
            return False
        return True

    sizes = {dim: profiles.sizes[dim] for dim in ("partition", "estimator")}
    works = np.array(
        [
            [falls(profiles.isel(partition=[p], estimator=[e])) for e in range(sizes["estimator"])]
            for p in range(sizes["partition"])
        ]
    )
    # whichever leaves more
    choices = {"partition": works.all(axis=1), "estimator": works.all(axis=0)}
    dim = max(choices, key=lambda dim: choices[dim].sum() / sizes[dim])
    chosen = choices[dim]
    if not chosen.any():
        return profiles, []
    return profiles.isel({dim: chosen}), [str(name) for name in profiles[dim].values[~chosen]]
