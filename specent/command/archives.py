"""The commands that look after files: ``specent validate``, ``describe`` and ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from specent.command.interface import app, one_or_more
from specent.errors import SpecentError, visible


@app.command(name="validate")
def validate(*paths: Path) -> None:
    """Check archives: whole, undamaged, and as the data contract says. Every bad one is named.

    Parameters
    ----------
    paths : Path
        One or more archives.
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


@app.command(name="describe")
def describe(path: Path) -> None:
    """Say what an archive holds: kind, dimensions, variables with units, provenance.

    Parameters
    ----------
    path : Path
        The archive.
    """
    from specent import archive

    print(archive.describe(path))


@app.command(name="convert")
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
