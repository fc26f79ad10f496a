"""A run that is killed again and again; run as a script, apart from the process of the tests.

``killed_runs.py FOLDER KILLS`` carries a plan out in children that are killed at random instants, each going on with
the folder that the last one left, then lets one end, and compares it with a run that was not disturbed. It prints how
many children were killed, how many shards they had left at each kill, and every difference.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr

import specent as sp

CLASSES, SAMPLES, SHARD = 4, 60, 5


def plan() -> sp.Plan:
    """Two classes in two dimensions, unguided and guided."""
    means = np.random.default_rng(0).normal(size=(CLASSES, 2)) * 3
    mix = sp.exact.GaussianMixture(means, labels=[f"class {i}" for i in range(CLASSES)])
    return sp.Plan(
        sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(6, 0.02, 100.0), samples=SAMPLES,
        partitions=["full"], guidance=[1.0, 2.0],
    )  # fmt: skip


def carry_out(folder: Path) -> None:
    """What a child does."""
    sp.run(plan(), folder, shard=SHARD, progress=False)


def killed(folder: Path, after: float) -> bool:
    """Whether a child was killed before it had ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            carry_out(folder)
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
    """Names of what is not the same in two datasets, bit for bit, but for the times at which they were made."""
    names = sorted(map(str, {*one.variables, *other.variables}))
    unlike = [
        name
        for name in names
        if name not in one or name not in other or one[name].values.tobytes() != other[name].values.tobytes()
        or one[name].dims != other[name].dims or one[name].attrs != other[name].attrs
    ]  # fmt: skip
    attributes = ({**one.attrs, "history": ""}, {**other.attrs, "history": ""})
    return unlike + [
        key for key in {**attributes[0], **attributes[1]} if attributes[0].get(key) != attributes[1].get(key)
    ]


def main(folder: Path, kills: int) -> None:
    """Kill, go on, compare."""
    torch.set_num_threads(1)
    whole, disturbed = folder / "whole", folder / "disturbed"
    start = time.monotonic()
    carry_out(whole)
    needed = time.monotonic() - start
    stream = np.random.default_rng(1)
    deaths, left = 0, []
    for _ in range(kills):
        # of all instants of a run so many that the kills are spread over all of it
        deaths += killed(disturbed, stream.uniform(0, 2 * needed / kills))
        left.append(len(list(disturbed.glob("shard-*.nc"))) if disturbed.exists() else 0)
    carry_out(disturbed)
    found = differences(sp.open(whole), sp.open(disturbed))
    others = [path.name for path in disturbed.iterdir() if not path.name.startswith("shard-")]
    sys.stdout.write(json.dumps({"deaths": deaths, "left": left, "differences": found, "others": sorted(others)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
