"""What the bookkeeping of many classes costs: the full set and every class against the rest, per trajectory and step.

Usage: python benchmarks/many_classes.py [classes]. The baseline, timed in the same run, is the dense kernel of
`specent.evidence` for the full set alone: all inner products of the candidates and a matrix of sides by candidates.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

import specent as sp
from specent import evidence
from specent.sampling.sides import Sides, Step

FEATURES = 64
BATCH = 8
TURNS = 5


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
