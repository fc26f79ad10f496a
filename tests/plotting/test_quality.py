"""The figure of sample quality shows the numbers of the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.results import result
from specent.plotting.sheets import print_settings, sheet
from specent.schema import KINDS

MEASURES = ["frechet_limit", "precision", "recall", "accuracy"]


@pytest.fixture
def table(make_dataset: Callable[..., xr.Dataset]) -> xr.Dataset:
    return make_dataset("quality")


def test_every_measure_has_a_panel_with_its_numbers_and_intervals(table: xr.Dataset) -> None:
    figure = sp.plot.quality(table, title="Buys what?")
    assert len(figure) == 4
    for panel, name in zip(figure, MEASURES, strict=True):
        dots = next(part for part in panel if isinstance(part, hv.Scatter) and "who" in part)
        np.testing.assert_array_equal(dots.dimension_values(name), table[name])
        assert dots.dimension_values("who").tolist() == table.guidance.values.tolist()
        (bars,) = [part for part in panel if isinstance(part, hv.Segments)]
        np.testing.assert_array_equal(bars.dimension_values("lower"), table[f"{name}_lower"])
        np.testing.assert_array_equal(bars.dimension_values("upper"), table[f"{name}_upper"])
        (line,) = [part for part in panel if isinstance(part, hv.VLine)]
        assert line.data == float(table[name].sel(guidance="unguided"))
        # first setting on top
        assert (np.diff(dots.dimension_values("row")) < 0).all()
    plain = next(part for part in figure[0] if isinstance(part, hv.Scatter) and "who" not in part)
    np.testing.assert_array_equal(plain.dimension_values("frechet_limit"), table.frechet_distance)


def test_rows_have_the_colour_of_their_setting_and_the_title_says_what_the_marks_are(table: xr.Dataset) -> None:
    figure = sp.plot.quality(table)
    colours = [
        tuple(part.dimension_values("colour"))
        for panel in figure for part in panel if isinstance(part, hv.Scatter | hv.Segments)
    ]  # fmt: skip
    assert len(set(colours)) == 1
    assert len(set(colours[0])) == table.sizes["guidance"]
    title = hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"]
    for words in ("How good are the samples?", "diamond: ", "dashed: unguided"):
        assert words in title
    plain = hv.Store.lookup_options("bokeh", sp.plot.quality(table.isel(guidance=[1])), "plot").kwargs["title"]
    assert "dashed" not in plain


def test_settings_can_be_selection_and_the_unguided_line_stays(table: xr.Dataset) -> None:
    name = str(table.guidance.values[1])
    panel = next(iter(sp.plot.quality(table, guidance=name)))
    (line,) = [part for part in panel if isinstance(part, hv.VLine)]
    assert line.data == float(table.frechet_limit[0])
    dots = next(part for part in panel if isinstance(part, hv.Scatter) and "who" in part)
    assert dots.dimension_values("who").tolist() == [name]
    with pytest.raises(SpecentError, match="guidance: 'w=9'"):
        sp.plot.quality(table, guidance="w=9")


def test_tables_without_accuracy_or_an_unguided_row_can_be_drawn(table: xr.Dataset, tmp_path: Path) -> None:
    some = table.drop_vars(["accuracy", "accuracy_lower", "accuracy_upper"]).isel(guidance=[1])
    figure = sp.plot.quality(some)
    assert len(figure) == 3
    assert not [part for panel in figure for part in panel if isinstance(part, hv.VLine)]
    page = sp.plot.page([some], tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<figure class="quality">' in page
    assert "how much of the data is reached" in page


def test_on_a_page_a_table_stays_whatever_is_selection_of_the_curves(
    table: xr.Dataset, guided_differences: xr.Dataset, tmp_path: Path
) -> None:
    selection = {"estimator": "path", "partition": "0 | rest", "guidance": ["unguided", "w=2"]}
    page = sp.plot.page([guided_differences, table], tmp_path / "page.html", **selection).read_text(encoding="utf-8")
    assert '<figure class="quality">' in page
    assert '<figure class="guidance_effect">' in page
    with pytest.raises(SpecentError, match="guidance: 'w=9'"):
        sp.plot.page([guided_differences, table], tmp_path / "other.html", guidance="w=9")


def test_the_table_holds_every_measure_and_a_negative_distance_says_why(table: xr.Dataset) -> None:
    rows = sp.plot.quality(table, data=True)
    assert rows.guidance.tolist() == table.guidance.values.tolist()
    np.testing.assert_array_equal(rows.recall_upper, table.recall_upper)
    below = table.assign(frechet_limit_lower=table.frechet_limit_lower - 1e3)
    options = hv.Store.lookup_options("bokeh", sp.plot.quality(below, title="Short"), "plot").kwargs
    assert "has no bias" in options["title"]


def test_runs_that_nothing_guides_have_neither_its_name_nor_lines(table: xr.Dataset) -> None:
    plain = table.sel(guidance=["unguided"])
    figure = sp.plot.quality(xr.concat([plain, plain], xr.Variable("run", ["one grid", "another"])))
    dots = [part for panel in figure for part in panel if isinstance(part, hv.Scatter) and "who" in part]
    assert {tuple(one.dimension_values("who")) for one in dots} == {("one grid", "another")}
    assert not [part for panel in figure for part in panel if isinstance(part, hv.VLine)]
    assert "dashed" not in hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"]
    guided = xr.concat([table, table], xr.Variable("run", ["one grid", "another"]))
    panel = next(iter(sp.plot.quality(guided)))
    assert len([part for part in panel if isinstance(part, hv.VLine)]) == 2


def test_in_print_every_row_of_many_has_its_name(table: xr.Dataset) -> None:
    names = [f"network: class share, {steps} steps, seed {seed}" for steps in (8, 16, 32) for seed in range(7)]
    plain = table.sel(guidance=["unguided"])
    figure = sp.plot.quality(xr.concat([plain] * len(names), xr.Variable("run", names)))
    for width in (85, 175):
        with print_settings():
            axes = sheet(figure, width / 25.4 * 72).axes
        shown = [" ".join(one.get_text().split()) for one in axes[0].get_yticklabels() if one.get_visible()]
        assert sorted(shown) == sorted(names)


def test_the_sentence_of_many_samples_names_the_least_and_the_largest(table: xr.Dataset) -> None:
    shift = [3.0, 0.0, 7.0, 5.0]
    runs = [table.assign({name: table[name] + more for name in table if "frechet_limit" in name}) for more in shift]
    many = xr.concat(runs, xr.Variable("run", list("abcd")))
    values = many["frechet_limit"]
    said = result({kind: [many] if kind == "quality" else [] for kind in KINDS})
    assert f"the least and the largest of {values.size}: b, " in said
    for number in (float(values.min()), float(values.max())):
        assert f": {number:.2f} [" in said
    one = result({kind: [table] if kind == "quality" else [] for kind in KINDS})
    assert one.startswith("Fréchet distance of the samples: unguided: ")


def test_other_kinds_are_refused(make_dataset: Callable[..., xr.Dataset]) -> None:
    with pytest.raises(SpecentError, match="quality"):
        sp.plot.quality(make_dataset("speciation"))
