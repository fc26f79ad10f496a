"""A figure that becomes another: its numbers and texts are taken over, or nothing is."""

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from specent.explorer.changing import changed_into


def plot(values, title, glyph="line"):
    made = figure(title=title, x_range=(0, len(values)))
    source = ColumnDataSource({"x": np.arange(len(values), dtype=float), "y": np.asarray(values, dtype=float)})
    getattr(made, glyph)("x", "y", source=source)
    return made, source


def test_numbers_texts_and_ranges_are_taken_over_and_models_stay():
    shown, source = plot([1.0, 2.0, np.nan], "before")
    wanted, _ = plot([3.0, np.nan, 5.0, 6.0], "after")
    models, changes = list(shown.renderers), []
    source.on_change("data", lambda attr, old, new: changes.append(new))
    assert changed_into(shown, wanted)
    assert shown.renderers == models
    assert np.array_equal(source.data["y"], [3.0, np.nan, 5.0, 6.0], equal_nan=True)
    assert shown.title.text == "after"
    assert shown.x_range.end == 4
    assert len(changes) == 1
    # what is the same already is not sent again
    assert changed_into(shown, plot([3.0, np.nan, 5.0, 6.0], "after")[0])
    assert len(changes) == 1


def test_another_structure_changes_nothing():
    shown, source = plot([1.0, 2.0], "before")
    for wanted in (plot([3.0, 4.0], "after", "scatter")[0], figure(title="after")):
        assert not changed_into(shown, wanted)
    # the same models, of which one stands elsewhere
    one, other = figure(title="a"), figure(title="b")
    other.add_layout(other.xaxis[0], "above")
    one.add_layout(one.xaxis[0], "below")
    assert not changed_into(one, other)
    assert shown.title.text == "before"
    assert source.data["y"].tolist() == [1.0, 2.0]
