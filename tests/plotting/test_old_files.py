"""Files of version 1 of the data contract, of every kind, are analysed and drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

import specent as sp
from specent import schema

OLD = Path(__file__).parents[1] / "archive" / "version_1"
# what each of them must show at least
DRAWN = {
    "trajectories": "entropy",
    "profiles": "entropy",
    "speciation": "windows",
    "sweep": "rescaled",
    "scaling": "scaling",
    "differences": "guidance_effect",
    "quality": "quality",
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_page_is_drawn_from_a_file_of_version_1(name: str, tmp_path: Path) -> None:
    # a fit is drawn over the summary that it was made from
    names = ["sweep_speciation", "scaling"] if name == "scaling" else [name]
    datasets = [sp.open(OLD / f"{one}.nc") for one in names]
    # the other estimators and settings would only make more of the same curves
    several = name in ("trajectories", "profiles", "speciation")
    selection = {"estimator": "path", "guidance": "unguided"} if several else {}
    path = sp.plot.page(datasets, tmp_path / "page.html", figures=DRAWN[name], **selection)
    assert f'<figure class="{DRAWN[name]}">' in path.read_text(encoding="utf-8")


def test_every_kind_is_there() -> None:
    kinds = {sp.open(path).attrs["specent_kind"] for path in OLD.glob("*.nc")}
    # these came with version 2
    assert kinds == set(schema.KINDS) - {"statistics", "interventions"}
