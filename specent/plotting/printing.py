"""Figures for print, drawn by matplotlib: PDF, SVG and PNG at the width of a journal's column.

The same figure gives the same bytes: no file says when it was written. Letters are those of DejaVu Sans, which comes
with matplotlib; a PDF embeds them as TrueType, an SVG draws them as outlines, so that both look alike wherever they are
opened. Of characters that these letters lack the codes are printed, [U+732B]. Matplotlib is imported only when
something is printed, and its state and settings are left as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from specent import arguments, files
from specent.arguments import brief
from specent.errors import SpecentError
from specent.plotting.sheets import print_settings, sheet

WIDTHS = {"single": 85.0, "double": 175.0}
"""Widths of a column and of a page of journals, in millimetres."""

SUFFIXES = (".pdf", ".svg", ".png")
"""How the names of printed files end."""

# a gigabyte in memory: a double column of 2400 dots per inch is smaller
_MOST_PIXELS = 250_000_000


def save(
    figure: Any, path: str | Path, width: str | float = "single", dpi: int = 300, *, overwrite: bool = False
) -> Path:
    """Print one figure: as PDF or SVG, or as PNG.

    Parameters
    ----------
    figure : HoloViews object
        What a function of `specent.plot` returns, or an element, overlay or layout of your own.
    path : str or Path
        File to write, ending in ``.pdf``, ``.svg`` or ``.png``.
    width : {"single", "double"} or float
        Width of the sheet: that of a column (85 mm), of two (175 mm), or millimetres. The height follows; letters have
        the same size at every width.
    dpi : int
        Pixels per inch of a PNG.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path
        The written file. The same figure gives the same bytes.

    Raises
    ------
    SpecentError
        If the file cannot be written, the width or the resolution is none, or something cannot be printed.

    Examples
    --------
    >>> import tempfile
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    >>> truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(8), [sp.Partition.pair("a", "b")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sp.plot.save(sp.plot.entropy(truth), Path(folder, "entropy.pdf"), width=120).read_bytes()[:5]
    b'%PDF-'
    """
    target = files.output_path(path, SUFFIXES, overwrite=overwrite)
    data = printed([figure], target.suffix, millimetres(width), resolution(dpi))
    return files.write_whole(data[0], target, overwrite=overwrite)


def millimetres(width: object) -> float:
    """Width of a sheet in millimetres, of a name out of `WIDTHS` or a number.

    Examples
    --------
    >>> millimetres("single"), millimetres("120")
    (85.0, 120.0)
    """
    if isinstance(width, str) and width in WIDTHS:
        return WIDTHS[width]
    try:
        return arguments.number(float(width) if isinstance(width, str) else width, "width", least=30, most=1000)
    except (ValueError, SpecentError) as error:
        names = ", ".join(f"{name!r} ({size:g} mm)" for name, size in WIDTHS.items())
        raise SpecentError(f"width={brief(width)} must be {names}, or 30 to 1000 millimetres") from error


def resolution(dpi: object) -> int:
    """Pixels per inch, within what printers and screens have."""
    return arguments.whole(dpi, "dpi", least=50, most=2400)


def printed(figures: Sequence[Any], suffix: str, width: float, dpi: int, title: str | None = None) -> list[bytes]:
    """The bytes of the files that hold some figures: one PDF with a page for each, otherwise a file for each.

    Parameters
    ----------
    figures : sequence of HoloViews objects
        At least one.
    suffix : {".pdf", ".svg", ".png"}
        Which sort of file.
    width : float
        Width in millimetres.
    dpi : int
        Pixels per inch of a PNG.
    title : str, optional
        Title of every figure instead of its own.

    Returns
    -------
    list of bytes
        The files.
    """
    with print_settings():
        sheets = [sheet(figure, width / 25.4 * 72, title) for figure in figures]
        if suffix == ".pdf":
            return [_pdf(sheets)]
        return [_picture(one, suffix, dpi) for one in sheets]


def _pdf(sheets: Sequence[Any]) -> bytes:
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = BytesIO()
    with PdfPages(buffer, metadata={"Creator": "specent", "CreationDate": None}) as pages:
        for one in sheets:
            pages.savefig(one)
    return buffer.getvalue()


def _picture(one: Any, suffix: str, dpi: int) -> bytes:
    width, height = (float(size) * dpi for size in one.get_size_inches())
    if suffix == ".png" and width * height > _MOST_PIXELS:
        raise SpecentError(
            f"dpi={dpi} makes a picture of {width:.0f} by {height:.0f} pixels; give a lower resolution, or a path "
            "ending in .pdf or .svg"
        )
    buffer = BytesIO()
    metadata = {"Creator": "specent", "Date": None} if suffix == ".svg" else {"Software": "specent"}
    one.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=metadata)
    return buffer.getvalue()
