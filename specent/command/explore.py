"""The command ``specent explore``: an archive in the browser."""

from __future__ import annotations

from pathlib import Path

from specent.command.interface import ERRORS, app
from specent.errors import visible


@app.command(name="explore", help_epilogue=ERRORS)
def explore(path: Path, /, *, port: int = 0, show: bool = False) -> None:
    """Explore an archive or a run folder in the browser: choose a partition and see when it is decided. For instance:
    specent explore digits.nc

    The page is served to this machine only, at the address that is printed, until Ctrl-C ends it. A run folder may
    still be growing; the page follows it.

    Parameters
    ----------
    path : Path
        Trajectories, statistics or profiles, or a run folder.
    port : int
        Port of the address; by default one that is free.
    show : bool
        Open the page in a browser.
    """
    from specent import explorer

    def started(address: str) -> None:
        print(f"exploring {visible(str(path))} at {address} (Ctrl-C ends it)", flush=True)

    explorer.serve(path, port=port, show=show, started=started)
    print("ended")
