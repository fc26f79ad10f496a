"""How much `import specent` costs beside `import xarray`: a ratio of at most 1.25 is wanted.

Whole interpreters are started in turn, so that both see the same machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

WANTED = 1.25
RUNS = 9


def seconds(statement: str) -> float:
    """Wall time of a fresh interpreter that runs one statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> int:
    """Print the median ratio; the exit status says whether it is as wanted."""
    for statement in ("import xarray", "import specent"):
        seconds(statement)
    ratios = [seconds("import specent; specent.Partition") / seconds("import xarray") for _ in range(RUNS)]
    ratio = statistics.median(ratios)
    print(f"import specent / import xarray: {ratio:.2f} (from {min(ratios):.2f} to {max(ratios):.2f}; wanted {WANTED})")
    return 0 if ratio <= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
