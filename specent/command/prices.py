"""The price of guidance, printed wherever a command shows guided trajectories."""

from __future__ import annotations

from pathlib import Path

from specent.errors import SpecentError, visible


def print_price(path: Path) -> None:
    """Print the price of guidance of an archive or a run folder behind an empty line, if it holds guided trajectories.

    Parameters
    ----------
    path : Path
        What has been described already, so that what is wrong with it has been said.
    """
    from specent import archive
    from specent.analysis import guidance_price_text

    try:
        # its seal has been checked; what is read here has checksums of its own
        with archive.open(path, verify=False) as dataset:
            text = guidance_price_text(dataset)
    except (SpecentError, OSError):
        # a run without a shard yet, or one that is being written
        return
    if text:
        print("\n" + "\n".join(map(visible, text.splitlines())))
