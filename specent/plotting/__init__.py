"""Figures: functions from a labelled dataset to a HoloViews object, drawn by Bokeh.

Nothing is computed here beyond what a display needs (selection, change of axis, medians over many curves); the numbers
are those of the dataset. Curves are coloured by partition, dashed by estimator, exact references are black and dashed,
intervals are bands; `specent.plotting.curves` says how runs that are compared are told apart. Arrows in the axis labels
point in the direction of generation, from noise to data.
"""

from __future__ import annotations

from specent import _retired
from specent.plotting.contents import FIGURES
from specent.plotting.curves import entropy, mutual_information, rate
from specent.plotting.export import figure_path, picture
from specent.plotting.fits import scaling
from specent.plotting.guidance_effect import guidance_effect
from specent.plotting.pages import page
from specent.plotting.pairs import pair_matrix
from specent.plotting.quality import quality
from specent.plotting.rescaling import rescaled
from specent.plotting.strips import predictions
from specent.plotting.summaries import windows

__all__ = [
    "FIGURES",
    "entropy",
    "figure_path",
    "guidance_effect",
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
