"""Figures: functions from a labelled dataset to a HoloViews object, drawn by Bokeh.

Nothing is computed here beyond what a display needs (selection, change of axis, medians over many curves); the numbers
are those of the dataset. Curves are coloured by partition, dashed by estimator, exact references are black and dashed,
intervals are bands. Arrows in the axis labels point in the direction of generation, from noise to data.
"""

from __future__ import annotations

from specent import _retired
from specent.plotting.curves import entropy, mutual_information, rate
from specent.plotting.export import figure_path, picture
from specent.plotting.fits import scaling
from specent.plotting.guidance_effect import differences
from specent.plotting.pages import FIGURES, page
from specent.plotting.quality import quality
from specent.plotting.rescaling import rescaled
from specent.plotting.strips import predictions
from specent.plotting.summaries import pair_matrix, windows

__all__ = [
    "FIGURES",
    "differences",
    "entropy",
    "figure_path",
    "mutual_information",
    "page",
    "pair_matrix",
    "picture",
    "predictions",
    "quality",
    "rate",
    "rescaled",
    "scaling",
    "windows",
]


def __getattr__(name: str) -> object:
    return _retired.attribute(__name__, name)
