"""Single pictures: read within bounds, and written as a grid.

A picture is opened by the readers of plain raster formats only (some of the others start programs), its size is looked
at before its pixels are unpacked, and a part that is missing is an error, not a grey bar.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.files import whole_file

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 2**26
"""Pictures with more pixels are not unpacked."""

MOST_BYTES = 2**28
"""Larger files are not read."""

_GREY, _COLOUR = {"1", "L", "LA", "La"}, {"RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr"}

Resize = Literal["refuse", "crop", "stretch"]


class PictureError(SpecentError):
    """A picture that cannot be used as it is: what is the matter in a few words, and the particulars."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind} ({detail})" if detail else kind)
        self.kind, self.detail = kind, detail


def need_pillow() -> None:
    """Raise `SpecentError` if Pillow is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise SpecentError("pictures are read and written by Pillow: pip install pillow") from error


def decode(data: bytes, channels: int, convert: bool) -> NDArray[np.uint8]:
    """Pixels of one picture file.

    Parameters
    ----------
    data : bytes
        The file.
    channels : {1, 3}
        Grey or colour.
    convert : bool
        Whether a picture of the other kind is converted, transparency laid on black, and only the first of several
        frames read.

    Returns
    -------
    ndarray of uint8, shape (height, width, channels)

    Raises
    ------
    PictureError
        If the picture cannot be read, is too large, or needs a conversion and `convert` is false.

    Examples
    --------
    >>> decode(b"P5 2 1 255 " + bytes([0, 255]), 1, convert=False)[..., 0].tolist()
    [[0, 255]]
    """
    from PIL import Image, UnidentifiedImageError

    _check_whole(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what the library finds odd is not read
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise PictureError("too large", f"{picture.width} x {picture.height} pixels")
                return _converted_pixels(picture, channels, convert)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("too large", str(error)) from error
    except UnidentifiedImageError as error:
        raise PictureError("unreadable", f"no picture in {', '.join(FORMATS)} format") from error
    except Exception as error:  # a damaged file may fail in any way its reader knows
        raise PictureError("unreadable", f"{type(error).__name__}: {' '.join(str(error).split())[:100]}") from error


def _check_whole(data: bytes) -> None:
    """What the library reads without a word: a PNG file without its end, and 16 bits of which it keeps 8."""
    depth = 0
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        if b"IEND\xaeB`\x82" not in data:
            raise PictureError("unreadable", "cut short: the end of the PNG file is missing")
        depth = data[24]
    elif data[:2] in (b"P2", b"P3", b"P5", b"P6"):
        words = re.sub(rb"#[^\r\n]*", b" ", data[:4096]).split(maxsplit=4)[3:4]
        digits = words[0][:6] if words else b""
        depth = 16 if digits.isdigit() and int(digits) > 255 else 8
    if depth == 16:
        raise PictureError("unreadable", "16 bits per channel; save it with 8")


def _converted_pixels(picture: Image, channels: int, convert: bool) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    mode = picture.mode
    if mode not in _GREY | _COLOUR:
        raise PictureError("unreadable", f"pixels of mode {mode!r}; save it with 8 bits per channel")
    transparent = mode in {"LA", "La", "RGBA", "RGBa", "PA"} or "transparency" in picture.info
    if not convert:
        if getattr(picture, "n_frames", 1) > 1:
            raise PictureError("with several frames")
        if transparent:
            raise PictureError("transparent")
        if (mode in _GREY) != (channels == 1):
            raise PictureError("grey" if mode in _GREY else "in colour")
    # as a camera meant it to be seen
    upright = ImageOps.exif_transpose(picture)
    if transparent:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)
    pixels = np.asarray(upright.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)


def fit(pixels: NDArray[np.uint8], size: tuple[int, int], resize: Resize) -> NDArray[np.uint8]:
    """A picture (height, width, channels) of the given height and width.

    ``"crop"`` cuts the middle of the right proportions out and scales it, ``"stretch"`` scales the whole, both with
    Lanczos' filter. With ``"refuse"``, another size is a `PictureError`.
    """
    from PIL import Image, ImageOps

    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    if resize == "refuse":
        raise PictureError("of another size", f"{height} x {width}")
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    target, method = (size[1], size[0]), Image.Resampling.LANCZOS
    scaled: Any = ImageOps.fit(picture, target, method) if resize == "crop" else picture.resize(target, method)
    return np.asarray(scaled, dtype=np.uint8).reshape(*size, pixels.shape[2])


def write_grid(path: Path, pictures: NDArray[np.floating[Any]], columns: int, gap: int = 1, scale: int = 1) -> Path:
    """Write pictures side by side as one PNG file, whole or not at all; an older file is replaced.

    Parameters
    ----------
    path : Path
        File to write.
    pictures : ndarray, shape (n, 1 or 3, height, width)
        From 0 (black) to 1 (white); values beyond are cut off.
    columns : int
        Pictures per row.
    gap : int
        Pixels between them.
    scale : int
        Pixels of the file per pixel of a picture.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SpecentError
        If Pillow is missing, a picture holds a NaN, or the file cannot be written.
    """
    need_pillow()
    from PIL import Image

    if not np.isfinite(pictures).all():
        raise SpecentError("a picture holds a NaN or an infinity")
    count, channels, height, width = pictures.shape
    rows = -(-count // columns)
    sheet = np.full((channels, rows * (height + gap) + gap, columns * (width + gap) + gap), 128, dtype=np.uint8)
    for i, picture in enumerate(np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = picture
    sheet = sheet.repeat(scale, axis=1).repeat(scale, axis=2)
    grid = Image.fromarray(sheet[0] if channels == 1 else sheet.transpose(1, 2, 0))
    with whole_file(path, overwrite=True) as temporary:
        grid.save(temporary, format="PNG")
    return path
