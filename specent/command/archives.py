"""The commands that look after files: ``specent validate``, ``describe`` and ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from specent.command.interface import ERRORS, app, one_or_more
from specent.errors import SpecentError, visible


@app.command(name="validate", help_epilogue=ERRORS)
def validate(*paths: Path) -> None:
    """Validate archives: whole, undamaged, and as the data contract says. Every bad one is named. For instance:
    specent validate digits.nc digits_run

    Parameters
    ----------
    paths : Path
        One or more archives, or run folders: of a folder every shard is read, and one that is missing is an error.
    """
    from specent import archive, schema

    bad: list[str] = []
    for path in one_or_more(paths):
        try:
            version = archive.validate(path)
        except SpecentError as error:
            bad.append(f"{path}: {error}" if str(path) not in str(error) else str(error))
        else:
            older = f" (version {version} of the file format)" if version != schema.SCHEMA else ""
            print(f"{visible(str(path))}: good{older}")
    if bad:
        raise SpecentError("; ".join(bad))


@app.command(name="describe", help_epilogue=ERRORS)
def describe(path: Path) -> None:
    """Say what an archive or a run folder holds: kind, dimensions, variables with units, provenance, and of guided
    trajectories the price of guidance. For instance: specent describe digits_run

    Parameters
    ----------
    path : Path
        The archive, or the run folder.
    """
    from specent import archive
    from specent.command.prices import print_price

    print(archive.describe(path))
    print_price(path)


@app.command(name="convert", help_epilogue=ERRORS)
def convert(
    source: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    overwrite: bool = False,
) -> None:
    """Turn a published EDM2 network (.pkl) into safetensors, without running anything in it. For instance:
    specent convert edm2-img512-xs-2147483-0.045.pkl -o edm2-img512-xs.safetensors

    Parameters
    ----------
    source : Path
        The published file.
    output : Path
        File to write, ending in .safetensors; a card (.json) with its sizes and both SHA-256 is written beside it.
    overwrite : bool
        Replace existing files.
    """
    from specent.models.edm2.conversion import convert as converted

    for path in converted(source, output, overwrite=overwrite):
        print(f"wrote {visible(str(path))} ({path.stat().st_size / 1e6:.1f} MB)")
