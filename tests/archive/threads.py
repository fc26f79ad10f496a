"""Threads that open, read, close and write archives at once; run as a script, because a race ends the process."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np

from specent import archive


def read(path: Path, times: int, sums: list[float]) -> None:
    for _ in range(times):
        with archive.open(path, verify=False) as dataset:
            sums.append(float(np.abs(dataset["log_likelihood"].values).sum()))


def write(path: Path, folder: Path, times: int) -> None:
    with archive.open(path) as dataset:
        for i in range(times):
            archive.write(dataset.chunk({"sample": 1}), folder / f"{i}.nc")


if __name__ == "__main__":
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    sums: list[float] = []
    threads = [threading.Thread(target=read, args=(source, 8, sums)) for _ in range(8)]
    threads.append(threading.Thread(target=write, args=(source, folder, 2)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(f"{len(sums)} {len(set(sums))} {len(list(folder.glob('*.nc')))}\n")
