"""Figures with pictures, trees and matrices are drawn by both backends; a warning would fail these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import specent as sp

Draw = Callable[..., Any]

FIGURES: dict[str, Draw] = {
    "samples": lambda runs, _spec: sp.plot.samples(runs),
    # below a noise level of 1 the logarithms of positions are negative
    "strip": lambda runs, _spec: sp.plot.predictions(runs, axis="sigma"),
    "tree": lambda runs, spec: sp.plot.tree(spec, runs),
    "tree on log-SNR": lambda runs, spec: sp.plot.tree(spec, runs, "log_snr"),
    "matrices": lambda _runs, spec: sp.plot.pair_matrix(spec, order="tree"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_both_backends_draw_the_figure(
    name: str, picture_runs: xr.Dataset, digit_profiles: xr.Dataset, summary: Any, tmp_path: Path
) -> None:
    spec = summary(digit_profiles).copy(deep=True)
    # nothing falls above a noise level of 1, and one pair never does
    for bound in ("", "_lower", "_upper"):
        spec[f"half_entropy{bound}"] = spec[f"half_entropy{bound}"] + 3.0
        spec[f"half_entropy{bound}"].loc[{"partition": "3 | 8"}] = np.nan
    figure = FIGURES[name](picture_runs, spec)
    hv.render(figure, backend="bokeh")
    path = sp.plot.save(figure, tmp_path / "figure.png", dpi=80)
    with Image.open(path) as page:
        # 85 mm
        assert abs(page.width - 85 / 25.4 * 80) <= 1
        pixels = np.asarray(page.convert("RGB"), dtype=float)
    # something is drawn: neither white nor one colour
    assert 0.02 < (pixels.min(axis=-1) < 250).mean() < 0.98
    assert np.unique(pixels.reshape(-1, 3), axis=0).shape[0] > 10
