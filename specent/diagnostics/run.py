"""The check of a model: every question in turn, with the number of evaluations said beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from specent import arguments
from specent.diagnostics import behaviour, clocks, conditions, fitting, short_run, timing
from specent.diagnostics.labelled_data import Examples, labelled_examples
from specent.diagnostics.network_probe import Probe
from specent.diagnostics.report import Line, Report
from specent.diagnostics.subject import Subject, noise_range, tried_labels
from specent.errors import SpecentError
from specent.models.base import Model, resolve_device
from specent.models.outputs import reason
from specent.models.protocol import Denoiser, as_model
from specent.sampling.preparation import check_model, model_on

_Measured = TypeVar("_Measured")

_FEWEST, _NUMBERS, _MOST = 32, 2**16, 1024
_ON_DATA = ("denoising", "prediction", "input scale", "schedule", "time", "labels", "condition")
_ON_STATES = ("clean end", "noisy end", "repeatable", "batches", "precision")


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
    model = as_model(model)
    check_model(model)
    seed, shows = arguments.whole(seed, "seed", most=10**6), arguments.flag(progress, "progress")
    if (images is None) != (labels is None):
        raise SpecentError("images and labels go together; give both or neither")
    place = resolve_device(device)
    most = min(_MOST, max(_FEWEST, _NUMBERS // int(np.prod(model.shape))))
    most = most if samples is None else arguments.whole(samples, "samples", least=2)
    given = None if images is None else labelled_examples(model, images, labels, most, seed, place)
    covers = _complete(model) if complete is None else arguments.flag(complete, "complete")
    model = model_on(model, place)
    done = _Count()
    probe = Probe(model, done)
    low, high = noise_range(probe, levels)
    trial = Subject(model, probe, given, tried_labels(model, given), low, high, covers, seed, place)
    total = cost(trial)
    text = f"checking (about {total} network evaluations)"
    with tqdm(total=total, desc=text, unit_scale=True, disable=not shows, mininterval=0.5) as done.bar:
        found = list(_lines(trial))
    return Report(str(model.identity["name"]), tuple(found), done.total)


class _Count:
    """Counts states, and moves the bar."""

    bar: tqdm[Any]

    def __init__(self) -> None:
        self.total = 0

    def __call__(self, states: int) -> None:
        self.total += states
        self.bar.update(states)


def _complete(model: Model) -> bool:
    """Whether the labels cover what the null condition stands for: prompts are some of endlessly many."""
    return bool(getattr(model, "complete", "prompts" not in model.identity))


def cost(trial: Subject) -> int:
    """About how many states a check denoises."""
    parts = [behaviour.sweep_cost, behaviour.ends_cost, behaviour.calls_cost, behaviour.precision_cost, short_run.cost]
    if trial.examples is not None:
        parts += [fitting.fits_cost, clocks.clocks_cost, timing.time_cost, conditions.cost, conditions.payment_cost]
    return sum(part(trial) for part in parts)


def _lines(trial: Subject) -> Iterator[Line]:
    """Every line of the report; what rests on something that is wrong itself is skipped."""
    finite = _tried("finite", lambda: behaviour.finite(trial))
    yield finite
    if finite.verdict == "fail":
        for name in (*_ON_STATES, *_ON_DATA, "null", "self-test"):
            yield Line(name, "skip", "outputs are not finite", hint="fix the line 'finite' first")
        return
    run: list[short_run.Run] = []
    self_test = _kept(run, "self-test", lambda: short_run.run(trial), short_run.calibrated)
    errors: list[conditions.Errors] = []
    labels = Line("labels", "skip", "needs images with their labels")
    if trial.examples is not None:
        labels = _kept(errors, "labels", lambda: conditions.errors(trial), lambda made: conditions.labels(trial, made))
    states = trial.examples
    if states is None and run:
        states = run[0].examples(trial)
    elif states is not None and errors:
        states = conditions.relabelled(states, errors[0])
    yield from _on_states(trial, states)
    misread = False
    if trial.examples is None or states is None:
        for name in _ON_DATA:
            yield Line(name, "skip", "needs images with their labels", hint="give data: images= and labels=, or --data")
    else:
        on_data = list(_on_data(trial, states))
        yield from on_data
        misread = _misread(on_data)
        yield _unless(misread and labels.verdict == "fail", labels)
        question = _after(errors, "condition", lambda made: _pays(trial, made, misread))
        yield _unless(misread or (labels.verdict != "pass" and question.verdict == "fail"), question)
    question = _tried("null", lambda: _null(trial, run, errors))
    yield _unless(misread and question.verdict == "fail", question)
    yield self_test


def _on_states(trial: Subject, states: Examples | None) -> Iterator[Line]:
    """Lines that need clean states, from data or from the model itself."""
    if states is None or not states.variance > 0:
        for name in _ON_STATES:
            yield Line(name, "skip", "there are no images, and the model's own run gave none", hint="give data")
        return
    found = states
    yield _tried("clean end", lambda: behaviour.clean_end(trial, found))
    yield _tried("noisy end", lambda: behaviour.noisy_end(trial, found))
    yield _tried("repeatable", lambda: behaviour.repeatable(trial, found))
    yield _tried("batches", lambda: behaviour.batches(trial, found))
    yield _tried("precision", lambda: behaviour.precision(trial, found))


def _on_data(trial: Subject, states: Examples) -> Iterator[Line]:
    """Lines on errors, under the labels that fit best."""
    fits: list[fitting.Fits] = []
    yield _kept(fits, "denoising", lambda: _fitted(trial, states), lambda made: fitting.denoising(made, states))
    found: list[list[clocks.Clock]] = []
    schedule = _after(fits, "schedule", lambda made: _schedule(trial, states, made, found))
    # of two explanations the one that leaves less error is told, and told once
    elsewhere = bool(found) and clocks.other(found[0]) is not None
    for name, question in (("prediction", fitting.prediction), ("input scale", fitting.input_scale)):
        yield _on_another_schedule(name) if elsewhere else _after(fits, name, question)
    yield schedule
    yield (
        _on_another_schedule("time")
        if elsewhere
        else _after(fits, "time", lambda made: timing.time(trial, states, made))
    )


def _schedule(trial: Subject, states: Examples, fit: fitting.Fits, found: list[list[clocks.Clock]]) -> Line:
    """Every usual schedule, under the labels that fit best or, as a wrong schedule may choose those, as given."""
    given = trial.examples
    tried = [clocks.clocks(trial, states, fit)]
    if given is not None and not states.classes.equal(given.classes):
        tried.append(clocks.clocks(trial, given, fit))
    found.append(min(tried, key=clocks.least))
    return clocks.schedule(trial, fit, found[0])


def _on_another_schedule(name: str) -> Line:
    return Line(name, "skip", "the network was trained on another schedule", hint="fix the line 'schedule' first")


def _misread(lines: list[Line]) -> bool:
    """Whether what the network returns was read wrongly, so that errors on data say nothing of conditions."""
    return any(line.name != "time" and line.verdict == "fail" for line in lines)


def _pays(trial: Subject, found: conditions.Errors, misread: bool) -> Line:
    if misread or found.null is None:
        return conditions.pays(trial, found, None)
    return conditions.pays(trial, found, conditions.payment(trial))


def _fitted(trial: Subject, states: Examples) -> fitting.Fits:
    """Every reading of the outputs, under the labels that fit best or those that were given."""
    found = fitting.fits(trial, states)
    if found.best == found.declared or trial.examples is None or states.classes.equal(trial.examples.classes):
        return found
    # a wrong reading may have chosen the labels
    given = fitting.fits(trial, trial.examples)
    return min(found, given, key=lambda made: made.total(made.best))


def _null(trial: Subject, run: list[short_run.Run], errors: list[conditions.Errors]) -> Line:
    if not trial.model.null:
        return Line("null", "skip", "the model has no null condition")
    if not trial.complete:
        return Line("null", "skip", "the labels do not cover what the null condition stands for")
    line = short_run.null_in_run(trial, run[0]) if run else None
    if line is not None:
        return line
    if errors and len(trial.model.labels) > 1:
        return conditions.null_on_data(errors[0])
    return Line(
        "null",
        "skip",
        "too many labels to be mixed, one only, or a run that starts too late",
        hint="give data: images= and labels=, or --data",
    )


def _unless(wrong: bool, line: Line) -> Line:
    """The line, unless it was judged by what is wrong itself."""
    if not wrong:
        return line
    return Line(line.name, "skip", "judged by a wrong reading or wrong labels", hint="fix the lines that fail first")


def _kept(
    held: list[_Measured], name: str, measure: Callable[[], _Measured], question: Callable[[_Measured], Line]
) -> Line:
    """Measure, keep it for other lines, and answer."""

    def answer() -> Line:
        held.append(measure())
        return question(held[0])

    return _tried(name, answer)


def _after(held: list[_Measured], name: str, question: Callable[[_Measured], Line]) -> Line:
    """The answer to a question about what was measured for another line."""
    if not held:
        return Line(name, "skip", "the line before it could not be answered", hint="fix that first")
    return _tried(name, lambda: question(held[0]))


def _tried(name: str, question: Callable[[], Line]) -> Line:
    """The answer, or a failure if the network could not be asked."""
    try:
        with torch.no_grad(), np.errstate(all="ignore"):
            return question()
    except SpecentError as error:
        return Line(
            name, "fail", str(error), "the network cannot be called as the model says",
            "fix the network, its shape, its labels or null=, as the message says",
        )  # fmt: skip
    except Exception as error:
        return Line(name, "fail", reason(error), "the model raised", "fix the model")
