"""A run that is killed again and again; run as a script, apart from the process of the tests.

``killed_runs.py FOLDER KILLS RECORD`` carries a plan out in children that are killed at random instants, each going on
with the folder that the last one left, then lets one end, and compares it with a run that was not disturbed. It prints
how many children were killed, how many shards they had left at each kill, and every difference. Trajectories must have
the same bits; sums over them, the record ``statistics``, are added up in another order and may differ by rounding.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import specent as sp
from specent.archive import folding

CLASSES, SHARD = 4, {"trajectories": 5, "statistics": 25}
SAMPLES = {"trajectories": 60, "statistics": 200}


def plan(record: Any = "trajectories") -> sp.Plan:
    """Two classes in two dimensions, unguided and guided."""
    means = np.random.default_rng(0).normal(size=(CLASSES, 2)) * 3
    mix = sp.exact.GaussianMixture(means, labels=[f"class {i}" for i in range(CLASSES)])
    return sp.Plan(
        sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(6, 0.02, 100.0), samples=SAMPLES[record],
        partitions=["full"], guidance=[1.0, 2.0], record=record,
    )  # fmt: skip


def carry_out(folder: Path, record: str = "trajectories", size: int = 1) -> None:
    """What a child does, in shards of so many times the usual size."""
    sp.run(plan(record), folder, shard=size * SHARD[record], progress=False)


def killed(folder: Path, after: float, record: str, size: int) -> bool:
    """Whether a child was killed before it had ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            carry_out(folder, record, size)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, code = os.waitpid(child, 0)
    if os.WIFEXITED(code) and os.WEXITSTATUS(code) != 0:
        raise RuntimeError("a child failed by itself")
    return os.WIFSIGNALED(code)


def differences(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    """Names of what is not the same in two datasets, but for the times at which they were made."""
    names = sorted(map(str, {*one.variables, *other.variables}))
    unlike = [
        name
        for name in names
        if name not in one or name not in other or not same(one[name], other[name])
        or one[name].dims != other[name].dims or one[name].attrs != other[name].attrs
    ]  # fmt: skip
    attributes = ({**one.attrs, "history": ""}, {**other.attrs, "history": ""})
    return unlike + [
        key for key in {**attributes[0], **attributes[1]} if attributes[0].get(key) != attributes[1].get(key)
    ]


def same(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Bit for bit the same values, or of sums up to the rounding of 1e-12 of the largest."""
    if "sample" not in one.coords and one.dtype.kind == "f" and "time" in one.dims and one.ndim > 1:
        return bool(np.allclose(one.values, other.values, rtol=1e-12, atol=1e-12 * float(abs(one).max())))
    return bool(one.values.tobytes() == other.values.tobytes())


def main(folder: Path, kills: int, record: str) -> None:
    """Kill, go on, compare."""
    # less than two files of statistics have, so they are added up all the time
    folding._BYTES = 1000
    torch.set_num_threads(1)
    whole, disturbed = folder / "whole", folder / "disturbed"
    # few kills need fewer shards to fall between
    size = 1 if kills > 20 else 2
    start = time.monotonic()
    carry_out(whole, record, size)
    needed = time.monotonic() - start
    stream = np.random.default_rng(1)
    deaths, left = 0, []
    for _ in range(kills):
        # of all instants of a run so many that the kills are spread over all of it
        deaths += killed(disturbed, stream.uniform(0, 2 * needed / kills), record, size)
        left.append(sp.archive.status(disturbed).done if (disturbed / "run.json").exists() else 0)
    carry_out(disturbed, record, size)
    found = differences(sp.open(whole), sp.open(disturbed))
    others = [path.name for path in disturbed.iterdir() if not path.name.startswith("shard-")]
    sys.stdout.write(json.dumps({"deaths": deaths, "left": left, "differences": found, "others": sorted(others)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
