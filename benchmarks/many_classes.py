"""What the bookkeeping of many classes costs: the full set and every class against the rest, per trajectory and step.

Usage: python benchmarks/many_classes.py [classes]. The baseline, timed in the same run, is the dense kernel of
`specent.evidence` for the full set alone: all inner products of the candidates and a matrix of sides by candidates.

Then the same trajectories are sampled with every candidate and with `specent.Scoring`, guided and not: the share of the
evaluations, the largest change of the path entropy and of the cross-entropy at any time, and of the recorded production
relative to its peak. So are the digits, where the network is most of the cost.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

import specent as sp
from specent import evidence
from specent.sampling.sides import Sides, Step

FEATURES = 64
BATCH = 8
TURNS = 5
STEPS, DRIVERS = 64, 40


def main() -> None:
    """Print milliseconds per trajectory and step, and the ratio."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    torch.set_num_threads(1)
    labels = [f"class {i}" for i in range(count)]
    prior = np.full(count, 1 / count)
    partitions = [sp.Partition.full(labels), *(sp.Partition.one_vs_rest(label, labels) for label in labels)]
    sides = Sides(partitions, labels, prior, torch.device("cpu"))
    seconds: dict[str, list[float]] = {"step and all partitions": [], "dense, full set alone": []}
    log_prior = torch.as_tensor(evidence.log_weights(partitions[0].weights(labels, prior))[None])
    for turn in range(TURNS):
        step, mover, who = state(count, turn)
        seconds["step and all partitions"].append(timed(lambda step=step: sides.production(step)) / BATCH)
        one = (step.log_likelihood[:1], log_prior, step.delta[:1], mover[:1], who[:1])
        seconds["dense, full set alone"].append(timed(lambda one=one: dense(*one)))
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{count} classes, {FEATURES} features, {name:>24}: {1e3 * value:8.3f} ms per trajectory and step")
    print(f"ratio {medians['dense, full set alone'] / medians['step and all partitions']:.1f}")
    means = np.random.default_rng(1).normal(size=(count, FEATURES))
    mixture = sp.models.mixture(sp.exact.GaussianMixture(means, labels=labels))
    compare(f"{count} classes", mixture, labels[:: max(1, count // DRIVERS)], 2)
    digits = sp.models.digits()
    compare("digits", digits, digits.labels, 60)


def compare(name: str, model: sp.models.Model, classes: Sequence[str], samples: int) -> None:
    """Print what scoring few candidates saves and changes."""
    for guidance in (1.0, 2.0, 3.0):
        runs, seconds = [], []
        for scoring in (None, sp.Scoring()):
            start = time.process_time()
            runs.append(
                sp.sample(
                    model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(STEPS), samples=samples,
                    classes=classes, partitions="full", guidance=guidance, record=sp.Record(distances=False),
                    scoring=scoring, threads=1, check=False, progress=False,
                )
            )  # fmt: skip
            seconds.append(time.process_time() - start)
        full, few = runs
        share = float(few.evaluations.mean()) / few.sizes["candidate"]
        entropy, cross = (np.abs(a - b).max() for a, b in zip(curves(full), curves(few), strict=True))
        rates = [one.production.mean(("guidance", "class_label", "sample", "partition")) for one in runs]
        rate = float(abs(rates[0] - rates[1]).max() / abs(rates[0]).max())
        each = 1e3 * seconds[1] / (len(classes) * samples * STEPS)
        print(
            f"{name}, w = {guidance:g}: {share:.3f} of the evaluations, {seconds[1] / seconds[0]:.2f} of the processor "
            f"time ({each:.2f} ms per trajectory and step, model and all), H {entropy:.4f} bit, cross-entropy "
            f"{cross:.4f} bit, production {rate:.2%}, dropped {float(few.dropped_mass.max()):.1e}"
        )


def curves(runs: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Entropy of the labels' posterior and cross-entropy of the driver in bits, means over all trajectories."""
    labels = runs.log_likelihood.sel(candidate=runs.candidate != "null").values[0]
    own = np.array([runs.candidate.values.tolist().index(label) for label in runs.class_label.values])
    total = evidence.log_sum_exp(labels)
    entropy = evidence.entropy(labels - total[..., None]).mean((0, 1))
    driver = np.stack([runs.log_likelihood.values[0, i, ..., column] for i, column in enumerate(own)])
    return evidence.BITS_PER_NAT * entropy, evidence.BITS_PER_NAT * (total - driver).mean((0, 1))


def state(count: int, seed: int) -> tuple[Step, torch.Tensor, torch.Tensor]:
    """A step of a batch, the weights of the candidates in its movement, and its drivers."""
    stream = np.random.default_rng(seed)
    denoised = torch.as_tensor(stream.normal(size=(BATCH, count, FEATURES)))
    own = torch.arange(BATCH)
    delta = denoised - denoised[own, own][:, None]
    values = torch.as_tensor(3 * stream.normal(size=(BATCH, count)))
    who = torch.nn.functional.one_hot(own, count).double()
    return Step(values, delta, torch.zeros(BATCH, FEATURES, dtype=torch.float64), own, True), who, who


def dense(
    values: torch.Tensor, log_prior: torch.Tensor, delta: torch.Tensor, mover: torch.Tensor, who: torch.Tensor
) -> None:
    """The dense kernel on one trajectory."""
    evidence.production(values, log_prior, delta @ delta.transpose(1, 2), mover, who, True)


def timed(work: object) -> float:
    """Seconds of processor time of a call."""
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start


if __name__ == "__main__":
    main()
