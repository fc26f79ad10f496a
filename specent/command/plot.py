"""The command ``specent plot``: figures of archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from specent.command.interface import Names, app, one_or_more
from specent.errors import SpecentError

if TYPE_CHECKING:
    import xarray as xr


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
        Names of the partitions to draw; all of them by default. Trajectories can be analysed for any other, written
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
    datasets: list[xr.Dataset] = []
    names: list[str] = []
    for path in one_or_more(paths, "plot"):
        more, known_as = _summarised(path, partition)
        datasets += more
        names += known_as
    selection = {"partition": tuple(dict.fromkeys(names)), "estimator": estimator, "guidance": guidance}
    write: Callable[..., Path] = plotting.picture if output.suffix == ".png" else plotting.page
    written = write(
        datasets,
        output,
        title=title,
        axis=axis,
        figures=figure or None,
        overwrite=overwrite,
        **{name: chosen or None for name, chosen in selection.items()},
    )
    print(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")


def _summarised(path: Path, partition: tuple[str, ...]) -> tuple[list[xr.Dataset], list[str]]:
    """The dataset in an archive with what follows from it, and the names of the partitions to draw of it."""
    from specent import analysis, archive

    dataset = archive.open(path)
    if dataset.attrs["specent_kind"] != "trajectories" or not partition:
        return analysis.summarise(dataset), list(partition)
    known = [str(name) for name in dataset["partition"].values] if "partition" in dataset.coords else []
    for text in partition:
        if text not in known and "|" not in text and text.strip() != "full":
            listed = ", ".join(map(repr, known[:8])) + (", ..." if len(known) > 8 else "")
            raise SpecentError(
                f"partition={text!r} is none of the archive's ({listed}), nor a new one such as 'full', 'cat | dog' or "
                "'cat | rest'"
            )
    datasets = analysis.summarise(dataset, partition)
    # "cat, dog | car" is drawn under its name, "cat+dog | car"
    return datasets, [str(name) for name in datasets[1]["partition"].values]
