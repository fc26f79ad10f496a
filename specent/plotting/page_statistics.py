"""Which of the statistical figures a page shows of its datasets, and how each is to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import xarray as xr

from specent.plotting.class_production import FAMILIES, class_production
from specent.plotting.density import paths
from specent.plotting.disagreement import disagreement
from specent.plotting.posteriors import posteriors
from specent.plotting.reliability import reliability
from specent.plotting.returns import returns
from specent.plotting.select import Names, families, names_of
from specent.plotting.turns import is_exact, same_sides

Datasets = Mapping[str, Sequence[xr.Dataset]]
Selection = Mapping[str, Names]

_JUDGED = 3

POSTERIORS = (
    "The posterior of the side that a trajectory was driven from, along every trajectory: shades say which share of "
    "them passes a point, on a logarithmic scale; red curves are quantiles, thin ones single trajectories in the "
    "colour of the side that drives them. The entropy is a mean over these: here is what it is a mean of."
)
RELIABILITY = (
    "Of all judgements that state a probability, the share that comes true, with intervals in which a trajectory "
    "counts once; below, their number. On unguided runs the posterior given the path is exact for any network, so "
    "points that leave the diagonal say that sampling and likelihood are not the same chain."
)
PATHS = (
    "Trajectories or final samples by class; the title says which. Where the model is an exact mixture, its density "
    "is grey. Where the archive allows, the noisy states are "
    "drawn, otherwise what the denoiser predicts along the way, otherwise final samples alone. Dotted lines are "
    "bifurcations of the drift of a mixture, the dash-dotted one the speciation predicted from its covariance."
)
DISAGREEMENT = (
    "Each estimator less one of them, with the interval of the difference: what they have in common cancels. On "
    "unguided runs differences beyond the interval say that the steps, the range of the grid or the model are at "
    "fault. Black bars are the disagreements that the analysis recorded."
)
CLASS_PRODUCTION = (
    "How fast the entropy of a class against the others falls: the median over the classes and their quartiles, for "
    "each guidance setting. Bars at the foot mark the noise levels at which a setting guides."
)
RETURNS = (
    "How often trajectories that turn at a noise level, and go on with fresh noise, end on the side from which they "
    "came, a colour for each mover. Hollow diamonds on a dotted line are what the posterior at the turn predicts: a "
    "mover that lies apart from them does otherwise than the posterior says. Counts stand side by side at each noise "
    "level; the lowest line is how often a guess is right."
)


def posterior_figures(datasets: Datasets, axis: str | None, selection: Selection) -> Iterator[Any]:
    """Posteriors of the first partition of every set of trajectories."""
    for runs in _analysed(datasets):
        names = _partitions(runs, selection)[:1]
        yield posteriors(runs, names[0], axis or "log_snr", guidance=selection.get("guidance"))


def reliability_figures(datasets: Datasets, _axis: str | None, selection: Selection) -> Iterator[Any]:
    """Reliability of the first partitions of every set of unguided trajectories."""
    for runs in _analysed(datasets):
        if "guidance_scale" in runs.coords and bool((runs["guidance_scale"] == 1.0).any()):
            yield reliability(runs, _partitions(runs, selection)[:_JUDGED])


def path_figures(datasets: Datasets, axis: str | None, selection: Selection) -> Iterator[Any]:
    """Trajectories of data of one or two dimensions."""
    for runs in datasets["trajectories"]:
        size = runs.sizes.get("feature", 0) if "final" in runs and "feature" in runs["final"].dims else 0
        if size == 2 or (size == 1 and "prediction" in runs):
            yield paths(runs, axis=axis or "log_snr", guidance=selection.get("guidance"))


def disagreement_figures(groups: Sequence[Sequence[xr.Dataset]], axis: str | None) -> Iterator[Any]:
    """Differences between the estimators of measured profiles, and from the exact ones of the same times."""
    for measured, *others in groups:
        exact = [one for one in others if one["log_snr"].equals(measured["log_snr"])]
        if exact and "exact" not in measured["estimator"].values:
            yield disagreement([measured, exact[0]], "entropy", axis)
        elif measured.sizes["estimator"] > 1:
            yield disagreement(measured, "entropy", axis)


def class_figures(datasets: Datasets, axis: str | None) -> Iterator[Any]:
    """Production of the classes under guidance, of profiles of several settings."""
    for prof in datasets["profiles"]:
        sorts = families(prof)
        several = any(sorts.count(family) > 1 for family in FAMILIES)
        single = all(prof.sizes.get(dim, 1) == 1 for dim in ("run", "dimension"))
        if several and single and prof.sizes["guidance"] > 1 and "path" in prof["estimator"].values:
            yield class_production(prof, axis)


def return_figures(datasets: Datasets, axis: str | None) -> Iterator[Any]:
    """U-turns, each beside the exact ones that count the same sides; the exact ones alone where there are no others."""
    turns = datasets["interventions"]
    exact = [one for one in turns if is_exact(one)]
    measured = [one for one in turns if not any(one is other for other in exact)]
    pairs = [(one, [other for other in exact if same_sides(one, other)][:1]) for one in measured]
    used = [id(other) for _, beside in pairs for other in beside]
    for one, beside in [*pairs, *((other, []) for other in exact if id(other) not in used)]:
        yield returns([one, *beside], axis or "sigma")


def _analysed(datasets: Datasets) -> list[xr.Dataset]:
    """Trajectories that were sampled with partitions; others are there for their pictures alone."""
    return [runs for runs in datasets["trajectories"] if "definition" in runs.coords and "log_likelihood" in runs]


def _partitions(runs: xr.Dataset, selection: Selection) -> list[Any]:
    chosen = selection.get("partition")
    return names_of(chosen) if chosen is not None else runs["partition"].values.astype(str).tolist()
