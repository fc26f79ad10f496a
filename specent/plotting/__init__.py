"""Figures: functions from a labelled dataset to a HoloViews object, drawn by Bokeh and printed by Matplotlib.

Nothing is computed here beyond what a display needs (selection, change of axis, medians over many curves); the numbers
are those of the dataset. Colour stands for what is compared and the line style for the estimator, exact references are
thin and dashed in the colour of what they belong to, intervals are bands: `specent.plotting.comparison` has the rules.
Generation runs to the right on every noise axis (`specent.plotting.noise_axis`).
"""

from __future__ import annotations

from specent import _retired
from specent.plotting.class_production import class_production
from specent.plotting.contents import FIGURES
from specent.plotting.curves import entropy, mutual_information, rate
from specent.plotting.density import paths
from specent.plotting.disagreement import disagreement
from specent.plotting.export import figure_path, is_print, picture, save_figures
from specent.plotting.fits import scaling
from specent.plotting.guidance_effect import guidance_effect
from specent.plotting.information_budget import budget
from specent.plotting.moments import posterior_histogram, predictions_at, trajectory_posteriors
from specent.plotting.pages import page
from specent.plotting.pairs import pair_matrix
from specent.plotting.posteriors import posteriors
from specent.plotting.printing import save
from specent.plotting.quality import quality
from specent.plotting.reliability import reliability
from specent.plotting.rescaling import rescaled
from specent.plotting.returns import returns
from specent.plotting.samples import samples
from specent.plotting.speciation_levels import definitions
from specent.plotting.strips import predictions
from specent.plotting.summaries import windows
from specent.plotting.transition_matrix import transition_matrix
from specent.plotting.tree import tree

__all__ = [
    "FIGURES",
    "budget",
    "class_production",
    "definitions",
    "disagreement",
    "entropy",
    "figure_path",
    "guidance_effect",
    "is_print",
    "mutual_information",
    "page",
    "pair_matrix",
    "paths",
    "picture",
    "posterior_histogram",
    "posteriors",
    "predictions",
    "predictions_at",
    "quality",
    "rate",
    "reliability",
    "rescaled",
    "returns",
    "samples",
    "save",
    "save_figures",
    "scaling",
    "trajectory_posteriors",
    "transition_matrix",
    "tree",
    "windows",
]


def __getattr__(name: str) -> object:
    return _retired.attribute(__name__, name)
