"""The figures of the explorer: which there are, and how they follow from a state and its numbers.

Every one is a figure of `specent.plotting`, which is imported when the first is drawn: the browser lays out the page in
the meantime. What cannot be drawn is said in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import specent
from specent.axes import AXES, AXIS_LABELS
from specent.errors import SpecentError
from specent.explorer.computing import Answer
from specent.explorer.naming import python_partition
from specent.explorer.source import Explored
from specent.explorer.state import State
from specent.partitions import Partition

Array = NDArray[np.float64]

# single trajectories that are drawn
_PATHS = 30
_TRAJECTORY = ("guidance", "axis", "class_label", "sample")


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a figure may be drawn from.

    Attributes
    ----------
    source : Explored
        What is explored.
    state : State
        What is chosen, nothing left empty.
    answer : Answer
        Profiles of the partition.
    pairs : Answer or None
        Profiles of pairs of classes.
    runs : Dataset or None
        Trajectories in memory, under one guidance setting.
    """

    source: Explored
    state: State
    answer: Answer
    pairs: Answer | None = None
    runs: xr.Dataset | None = None

    @property
    def level(self) -> float:
        """Log-SNR that is looked at."""
        return nearest(self.source, self.state.level)

    @property
    def partition(self) -> Partition | str:
        """The partition that is shown."""
        return self.source.partition(self.state.partition)

    @property
    def position(self) -> float:
        """Where that is on the axis."""
        return float(np.interp(self.level, *scale(self.source, self.state.axis)))

    def read(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        """What is called so here or in the state."""
        return tuple(getattr(self.state if hasattr(self.state, name) else self, name) for name in names)


@dataclass(frozen=True)
class FigureView:
    """One figure of the explorer.

    Attributes
    ----------
    name, heading : str
        How it is called by programs and readers.
    draw : callable
        From a `Scene` to a HoloViews object; raises `SpecentError` where there is nothing to draw.
    line : str
        Python that draws it, of the variables ``profile``, ``summary``, ``pairs`` and ``runs``.
    reads : tuple of str
        Attributes of the scene and the state that it is drawn from: when none of them changed, it is as it was.
    noisy : bool
        Whether its horizontal axis is the noise axis.
    stretched : bool
        Whether it takes the width of the page.
    """

    name: str
    heading: str
    draw: Callable[[Scene], Any]
    line: Callable[[Scene], str]
    reads: tuple[str, ...]
    noisy: bool = False
    stretched: bool = True


def scale(source: Explored, axis: str) -> tuple[Array, Array]:
    """Log-SNR of every time, ascending, and its position on an axis."""
    from specent.plotting.style import positions

    log_snr = np.asarray(source.dataset["log_snr"].values, dtype=np.float64)
    order = np.argsort(log_snr)
    return log_snr[order], positions(source.dataset, axis)[order]


def nearest(source: Explored, level: float | None) -> float:
    """The log-SNR of the dataset that is nearest to a level; the middle one without."""
    values = source.log_snr
    return float(values[len(values) // 2] if level is None else values[np.argmin(np.abs(values - level))])


def level_at(source: Explored, axis: str, position: float) -> float:
    """The log-SNR of the dataset whose position on an axis is nearest, as it is drawn."""
    values, positions = scale(source, axis)
    if axis == "sigma" and position > 0:
        return float(values[np.argmin(np.abs(np.log(positions) - np.log(position)))])
    return float(values[np.argmin(np.abs(positions - position))])


def level_text(source: Explored, level: float) -> str:
    """A noise level in words."""
    index = int(np.argmin(np.abs(source.log_snr - level)))
    return f"σ/α = {np.exp(-0.5 * level):.3g} ({index + 1} of {len(source.log_snr)})"


def axis_choices(source: Explored) -> dict[str, str]:
    """The noise axes by their labels."""
    return {AXIS_LABELS[axis].partition("  (")[0]: axis for axis in AXES}


def _entropy(scene: Scene) -> Any:
    return specent.plotting.entropy(scene.answer.profiles, axis=scene.state.axis)


def _rate(scene: Scene) -> Any:
    return specent.plotting.rate(scene.answer.profiles, axis=scene.state.axis)


def _need_summary(answer: Answer | None) -> xr.Dataset:
    if answer is None or answer.summary is None:
        raise SpecentError("no summary: " + ("; ".join(answer.remarks) if answer else "there are no profiles"))
    return answer.summary


def _windows(scene: Scene) -> Any:
    return specent.plotting.windows(_need_summary(scene.answer), scene.state.axis)


def _tree(scene: Scene) -> Any:
    return specent.plotting.tree(_need_summary(scene.pairs), _pictured(scene), scene.state.axis)


def _pictured(scene: Scene) -> xr.Dataset | None:
    """Trajectories that end in pictures, for the leaves of a tree."""
    from specent.plotting.raster import final_pictures

    runs = scene.source.dataset
    return runs if scene.source.kind == "trajectories" and final_pictures(runs)[0] is not None else None


def _tree_line(scene: Scene) -> str:
    return f"sp.plot.tree(pair_summary, {'None' if _pictured(scene) is None else 'runs'}, {_axis(scene)})"


def _pair_matrix(scene: Scene) -> Any:
    return specent.plotting.pair_matrix(_need_summary(scene.pairs))


def _some(scene: Scene) -> str:
    samples = 0 if scene.runs is None else scene.runs.sizes["sample"]
    return f"runs.sel(guidance=[{scene.state.guidance[0]!r}]).isel(sample=slice(0, {samples}))"


def _partition(scene: Scene) -> str:
    return python_partition(scene.partition, scene.source.labels, scene.source.stored)


def _need_runs(scene: Scene) -> xr.Dataset:
    if scene.runs is None:
        raise SpecentError("trajectories are being read")
    return scene.runs


def _histogram(scene: Scene) -> Any:
    return specent.plotting.posterior_histogram(_need_runs(scene), scene.level, scene.partition)


def _few(scene: Scene) -> xr.Dataset:
    """The trajectories that are drawn one by one: the first of every class, and the one that is chosen."""
    runs = _need_runs(scene)
    each = max(1, _PATHS // runs.sizes["class_label"])
    # the figure works out all that it is given
    return runs.isel(sample=sorted({*range(min(each, runs.sizes["sample"])), scene.state.sample}))


def _trajectories(scene: Scene) -> Any:
    state = scene.state
    return specent.plotting.trajectory_posteriors(
        _few(scene), scene.partition, state.axis, class_label=state.class_label, sample=state.sample, most=_PATHS
    )


def _predictions_at(scene: Scene) -> Any:
    return specent.plotting.predictions_at(scene.source.dataset, scene.level, guidance=scene.state.guidance[0])


def _strip(scene: Scene) -> Any:
    state = scene.state
    return specent.plotting.predictions(
        scene.source.dataset, None, state.axis, class_label=state.class_label, sample=state.sample,
        guidance=state.guidance[0],
    )  # fmt: skip


def _histogram_line(scene: Scene) -> str:
    return f"sp.plot.posterior_histogram({_some(scene)}, {scene.level!r}, {_partition(scene)})"


def _trajectories_line(scene: Scene) -> str:
    state = scene.state
    return (
        f"sp.plot.trajectory_posteriors({_some(scene)}, {_partition(scene)}, {_axis(scene)}, "
        f"class_label={state.class_label!r}, sample={state.sample})"
    )


def _predictions_at_line(scene: Scene) -> str:
    return f"sp.plot.predictions_at(runs, {scene.level!r}, guidance={scene.state.guidance[0]!r})"


def _strip_line(scene: Scene) -> str:
    state = scene.state
    return (
        f"sp.plot.predictions(runs, {_axis(scene)}, class_label={state.class_label!r}, sample={state.sample}, "
        f"guidance={state.guidance[0]!r})"
    )


def trajectory_near(scene: Scene, level: float, posterior: float) -> tuple[str, int]:
    """Class and sample of the trajectory in the figure of single ones that is nearest to a posterior at a level."""
    table = specent.plotting.trajectory_posteriors(_few(scene), scene.partition, most=_PATHS, data=True)
    at = table[np.isclose(table["log_snr"], level)]
    row = at.loc[(at["posterior"] - posterior).abs().idxmin()]
    return str(row["class_label"]), int(row["sample"])


def _axis(scene: Scene) -> str:
    return f'axis="{scene.state.axis}"'


_CURVES = ("answer", "axis")
_MOMENT = ("runs", "partition")

PROFILE_VIEWS = (
    FigureView("entropy", "Entropy", _entropy, lambda s: f"sp.plot.entropy(profile, {_axis(s)})", _CURVES, noisy=True),
    FigureView("rate", "Rate", _rate, lambda s: f"sp.plot.rate(profile, {_axis(s)})", _CURVES, noisy=True),
    FigureView(
        "windows", "Transition window", _windows, lambda s: f"sp.plot.windows(summary, {_axis(s)})", _CURVES, noisy=True
    ),
)
"""Figures of the partition that is chosen."""

MOMENT_VIEWS = (
    FigureView("posterior_histogram", "How sure at this noise level", _histogram, _histogram_line, (*_MOMENT, "level")),
    FigureView(
        "trajectory_posteriors",
        "Single trajectories (click one)",
        _trajectories,
        _trajectories_line,
        (*_MOMENT, *_TRAJECTORY),
        noisy=True,
    ),
    FigureView(
        "predictions_at",
        "Predictions at this noise level",
        _predictions_at,
        _predictions_at_line,
        ("source", "guidance", "level"),
        stretched=False,
    ),
    FigureView(
        "predictions",
        "Predictions along the trajectory",
        _strip,
        _strip_line,
        ("source", *_TRAJECTORY),
        stretched=False,
    ),
)
"""Figures of what is at the noise level, and of the trajectory that is chosen."""

PAIR_VIEWS = (
    FigureView("tree", "Tree of the classes", _tree, _tree_line, ("pairs", "axis"), noisy=True),
    FigureView(
        "pair_matrix",
        "Pairs of classes",
        _pair_matrix,
        lambda _: "sp.plot.pair_matrix(pair_summary)",
        ("pairs",),
        stretched=False,
    ),
)
"""Figures of all pairs of classes."""

ALL_VIEWS = (*PROFILE_VIEWS, *MOMENT_VIEWS, *PAIR_VIEWS)
"""Every figure, in the order of the page."""
