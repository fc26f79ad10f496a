"""What the bookkeeping of a run costs beside its network, and how many network evaluations a second there are.

Usage: python benchmarks/throughput.py [cpu | cuda]. The network is timed alone, in the same batches, within a timing
of the whole run; the share is what the run takes on top. Two networks: a perceptron, so small that bookkeeping shows,
and one of the sizes of EDM2-XS (arXiv 2312.02696) with random weights, in single precision, on a GPU in bfloat16 too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

import specent as sp
from specent.models.edm2.architecture import Precond
from specent.models.edm2.presets import preset
from specent.models.network import EDMNetwork

LABELS = [str(i) for i in range(10)]
STEPS = 4
WIDTHS = {"cpu": 768, "cuda": 4096}
# trajectories of the large network, per class
IMAGES = {"cpu": 2, "cuda": 128}
# reduced precision is tried on 32 trajectories first, which takes a processor many minutes
PRECISIONS = {"cpu": ("float32",), "cuda": ("float32", "bfloat16")}


def main() -> None:
    """Print both tables."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.manual_seed(0)
    perceptron(device)
    edm2(device)


def perceptron(device: str) -> None:
    """The ratio of a whole run to the network alone, without and with many partitions and distances."""
    net = EDMNetwork(3 * 16 * 16, 10, width=WIDTHS[device], blocks=6)
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(LABELS) for b in LABELS[i + 1 :]]

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
            output: Tensor = self.net(x.reshape(len(x), -1), sigma, self.net.modulation(sigma, condition))
            return output.reshape(x.shape)

    model = sp.models.network(Flat().eval(), LABELS, (3, 16, 16), prediction="data")
    options: dict[str, Any] = {"samples": 20, "device": device, "batch_size": 200}
    for name, more in (
        ("evidence only", {"record": sp.Record(distances=False)}),
        ("45 pairs and distances", {"partitions": pairs, "record": sp.Record(distances=True)}),
    ):
        report(f"{device}, perceptron, {name}", model, options | more)


def edm2(device: str) -> None:
    """Images times steps a second of a class against the null condition: two evaluations each."""
    net = Precond(preset("img512-xs"))
    for weight in net.parameters():
        if weight.ndim == 0:
            nn.init.ones_(weight)  # gains, which start at 0 and would hide what the layers do

    class Labelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net.freeze()

        def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
            labels = nn.functional.one_hot(condition, 1000).to(x.dtype)
            output: Tensor = self.net(x, sigma, labels)
            return output

    model = sp.models.network(Labelled(), LABELS[:2], (4, 64, 64), prediction="data", null=False)
    for precision in PRECISIONS[device]:
        options: dict[str, Any] = {"samples": IMAGES[device], "device": device, "precision": precision}
        report(f"{device}, EDM2-XS, {precision}", model, options)


def report(name: str, model: sp.models.NetworkModel, options: dict[str, Any]) -> None:
    """Run twice, and print the speed of the second run and the share of it that is not spent in the network."""
    device = str(options["device"])
    for attempt in ("warm-up", "measured"):
        with timed(model.net, device) as calls:  # type: ignore[arg-type]
            start = _now(device)
            sp.sample(model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(STEPS), progress=False, **options)
            total = _now(device) - start
        if attempt == "measured":
            # what reduced precision is tried on beforehand counts as calls, and as time
            evaluations = sum(count for count, _ in calls)
            inside = sum(seconds for _, seconds in calls)
            candidates = len(model.labels) + model.null
            print(
                f"{name}: {evaluations / total:,.1f} network evaluations a second, "
                f"{evaluations / candidates / total:,.1f} images x steps a second; "
                f"{100 * (1 - inside / total):.1f} % of the time outside the network"
            )


@contextmanager
def timed(net: nn.Module, device: str) -> Iterator[list[tuple[int, float]]]:
    """Within it, batch size and seconds of every call of the network are taken down."""
    calls: list[tuple[int, float]] = []
    started: list[float] = []
    before = net.register_forward_pre_hook(lambda *_: started.append(_now(device)))
    after = net.register_forward_hook(lambda _, given, __: calls.append((len(given[0]), _now(device) - started.pop())))
    try:
        yield calls
    finally:
        before.remove()
        after.remove()


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
