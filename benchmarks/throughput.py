"""What the bookkeeping of a run costs beside its network, and how many network evaluations a second there are.

Usage: python benchmarks/throughput.py [cpu | cuda]. The network is timed alone, in the same batches, within a timing
of the whole run; the share is what the run takes on top. A network of realistic size is used: evidence, production and
transfers cost the same for any.
"""

from __future__ import annotations

import sys
import time

import torch

import specent as sp
from specent.models.network import EDMNetwork

LABELS = [str(i) for i in range(10)]
STEPS, SAMPLES = 4, 20
WIDTHS = {"cpu": 768, "cuda": 4096}


def main() -> None:
    """Print the ratio of the whole run to the network alone, without and with many partitions and distances."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.manual_seed(0)
    net = EDMNetwork(3 * 16 * 16, 10, width=WIDTHS[device], blocks=6).to(device)
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(LABELS) for b in LABELS[i + 1 :]]
    calls: list[float] = []

    def timed(x: torch.Tensor, sigma: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        start = _now(device)
        flat = x.reshape(len(x), -1)
        output: torch.Tensor = net(flat, sigma, net.modulation(sigma, condition)).reshape(x.shape)
        calls.append(_now(device) - start)
        return output

    model = sp.models.network(timed, LABELS, (3, 16, 16))
    for name, partitions, distances in (("evidence only", [], False), ("45 pairs and distances", pairs, True)):
        for attempt in ("warm-up", "measured"):
            calls.clear()
            start = _now(device)
            sp.sample(
                model,
                schedule=sp.schedules.VE(),
                time=sp.schedules.edm_grid(STEPS),
                samples=SAMPLES,
                partitions=partitions,
                distances=distances,
                device=device,
                batch_size=200,
                progress=False,
            )
            total = _now(device) - start
            if attempt == "measured":
                evaluations = STEPS * SAMPLES * len(LABELS) * (len(LABELS) + 1)
                print(
                    f"{device}, {name}: {evaluations / total:,.0f} network evaluations a second; bookkeeping "
                    f"{100 * (total / sum(calls) - 1):.1f} % of the network's time"
                )


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
