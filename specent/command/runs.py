"""The commands that look after run folders: ``specent status`` and ``merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from specent.command.interface import ERRORS, app
from specent.errors import SpecentError


@app.command(name="status", help_epilogue=ERRORS)
def status(path: Path, *, verify: bool = False) -> None:
    """Say how far a run is: shards done, missing and damaged, and about how long the rest takes. For instance:
    specent status digits_run

    Parameters
    ----------
    path : Path
        The run folder; it may be being written.
    verify : bool
        Read every shard and check its seal. Fails (exit code 1) if one is damaged.
    """
    from specent import archive

    report = archive.status(path, verify=verify)
    print(report)
    if report.damaged:
        shards = "shard is" if len(report.damaged) == 1 else "shards are"
        raise SpecentError(
            f"{len(report.damaged)} {shards} damaged in {str(path)!r}; carry the plan out again to sample what is lost"
        )


@app.command(name="merge", help_epilogue=ERRORS)
def merge(path: Path, *, output: Annotated[Path, Parameter(name=("--output", "-o"))], overwrite: bool = False) -> None:
    """Write all shards of a finished run into one archive. For instance:
    specent merge digits_run -o digits.nc

    Parameters
    ----------
    path : Path
        The run folder.
    output : Path
        Archive to write, ending in .nc.
    overwrite : bool
        Replace an existing file.
    """
    from specent import archive

    written = archive.merge(path, output, overwrite=overwrite)
    print(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")
