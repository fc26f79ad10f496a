"""The check of a model: arguments are refused before its network is called, and every call of it is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from specent import arguments
from specent.diagnostics.examination import expected_evaluations, report_lines
from specent.diagnostics.findings import Findings
from specent.diagnostics.labelled_data import labelled_examples
from specent.diagnostics.network_probe import Probe
from specent.diagnostics.report import Report
from specent.diagnostics.subject import noise_range, tried_labels
from specent.errors import SpecentError
from specent.models.base import Model, resolve_device
from specent.models.protocol import Denoiser, as_model
from specent.sampling.preflight import mark_passed
from specent.sampling.preparation import check_model, model_on

_FEWEST, _NUMBERS, _MOST = 32, 2**16, 1024


def check(
    model: Model | Denoiser,
    images: ArrayLike | None = None,
    labels: Any = None,
    *,
    levels: Any = None,
    samples: int | None = None,
    complete: bool | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Report:
    r"""Tell a wrong adapter from a right one, before a long run.

    Without data it can be seen whether outputs are finite, repeatable and right at both ends of the noise. Whether
    prediction type, scale of the states, time and labels are right takes images: the right reading of a network
    denoises best, so every other reading is tried. All comparisons are paired; a verdict rests on a difference that
    noise makes once in a million.

    Parameters
    ----------
    model : Model or Denoiser
        The model, see `specent.models`.
    images : array_like, shape (n, \*shape), optional
        Data of the kind that the model was trained on, in its units; 32 suffice for large pictures, a few hundred are
        better for small ones.
    labels : array_like, shape (n,)
        Label of each image: by its name, or as index 0 .. K-1.
    levels : (float, float), optional
        Smallest and largest noise level ``sigma / alpha`` that are to be sampled; by default those of the network's
        schedule, or 0.002 and 80.
    samples : int, optional
        How many images are used; by default 32 for large ones, up to 1024 for small ones.
    complete : bool, optional
        Whether the labels cover all that the null condition stands for. By default labels do, and prompts do not.
    seed : int
        Of the noise.
    device : str
        ``"cpu"`` or ``"cuda"``.
    progress : bool
        Whether to show a progress bar, over the number of states to be denoised.

    Returns
    -------
    Report
        Its lines are printed by ``print(report)``; ``report.ok`` is false if one failed.

    Raises
    ------
    SpecentError
        If an argument cannot be used. What the network does wrong is a line of the report instead.

    References
    ----------
    arXiv 2206.00364, 2302.03792, 2506.10433, cs/0412108.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> report = sp.check(sp.models.mixture(mix), progress=False)
    >>> report.ok, report["null"].verdict, report["prediction"].verdict
    (True, 'pass', 'skip')
    """
    progress = arguments.flag(progress, "progress")
    model = as_model(model)
    counter = _Counter()
    findings = _findings(model, images, labels, levels, samples, complete, seed, device, counter)
    total = expected_evaluations(findings) if progress else None
    unit = " network evaluations"
    with tqdm(
        total=total, desc="checking", unit=unit, unit_scale=True, disable=not progress, mininterval=0.5
    ) as counter.bar:
        lines = report_lines(findings)
    report = Report(str(findings.model.identity["name"]), lines, counter.total)
    if report.ok and images is not None:
        # with data this says all that a look before a run does
        mark_passed(model)
    return report


class _Counter:
    """Counts states, and moves the bar."""

    bar: tqdm[Any]

    def __init__(self) -> None:
        self.total = 0

    def __call__(self, states: int) -> None:
        self.total += states
        self.bar.update(states)


def _findings(
    model: Model | Denoiser, images: ArrayLike | None, labels: Any, levels: Any, samples: int | None,
    complete: bool | None, seed: int, device: str, count: Callable[[int], object],
) -> Findings:  # fmt: skip
    """A model and what it is tried on, from the arguments of `check`; the network is not called."""
    model = as_model(model)
    check_model(model)
    seed = arguments.whole(seed, "seed", most=10**6)
    if (images is None) != (labels is None):
        raise SpecentError("images and labels go together; give both or neither")
    target = resolve_device(device)
    most = min(_MOST, max(_FEWEST, _NUMBERS // int(np.prod(model.shape))))
    most = most if samples is None else arguments.whole(samples, "samples", least=2)
    examples = None if images is None else labelled_examples(model, images, labels, most, seed, target)
    complete = _complete(model) if complete is None else arguments.flag(complete, "complete")
    model = model_on(model, target)
    probe = Probe(model, count)
    low, high = noise_range(probe, levels)
    return Findings(model, probe, examples, tried_labels(model, examples), low, high, complete, seed, target)


def _complete(model: Model) -> bool:
    """Whether the labels cover what the null condition stands for: prompts are some of endlessly many."""
    return bool(getattr(model, "complete", "prompts" not in model.identity))
