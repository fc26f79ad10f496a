"""All benchmarks, one after the other, each in a process of its own; the time of each is printed.

Usage: python benchmarks [--cuda]. Without the option those that suit two cores, with it those for a GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ON_A_GPU: tuple[tuple[str, ...], ...] = (("throughput.py", "cuda"), ("finite.py", "cuda"))


def main() -> int:
    """Run them, and return how many failed."""
    here = Path(__file__).parent
    every = [(path.name,) for path in sorted(here.glob("*.py")) if path.name != Path(__file__).name]
    failed = 0
    for name, *options in ON_A_GPU if sys.argv[1:] == ["--cuda"] else every:
        print(f"== {' '.join((name, *options))}", flush=True)
        start, before = time.perf_counter(), os.times()
        failed += subprocess.run([sys.executable, here / name, *options]).returncode != 0
        used = os.times().children_user + os.times().children_system
        used -= before.children_user + before.children_system
        print(f"== {time.perf_counter() - start:.0f} s, {used:.0f} s of processor time\n", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
