"""Parts of the reference that are made when it is built: the tables of the file format, and a page of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import specent as sp

GENERATED = Path(__file__).resolve().parents[1] / "generated"


def write_format() -> None:
    """Write the tables of the file format, straight from the registry that validates files."""
    (GENERATED / "format.md").write_text(sp.schema.as_markdown(), encoding="utf-8")


def write_example() -> None:
    """Draw the report that is shown on the page about figures."""
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(64, 0.05, 80.0)
    partitions = [sp.Partition.full(mix.labels)]
    runs = sp.sample(
        sp.models.mixture(mix), schedule=schedule, time=time, samples=200, partitions=partitions, progress=False
    )
    measured = sp.entropy(runs, estimator=("path", "denoiser_gap"))
    exact = sp.exact.profiles(mix, schedule, time, partitions)
    path = GENERATED / "pages" / "two_components.html"
    figures = [measured, exact, sp.speciation(measured, axis="sigma")]
    sp.plot.page(figures, path, title="Two components of unit variance at -4 and 4", axis="sigma", overwrite=True)


def write(app: Any) -> None:
    """Write the tables before the documentation is read; the report is drawn with the gallery."""
    GENERATED.mkdir(exist_ok=True)
    write_format()


def setup(app: Any) -> dict[str, bool]:
    """Write the generated parts first."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
