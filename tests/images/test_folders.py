"""Folders of pictures: read as they are, and whatever is odd about a picture is named, counted and never hidden."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import specent as sp
from specent.errors import SpecentError
from specent.images.pictures import write_grid

from .conftest import MakePicture


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file of a few bytes whose head claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_pixels_classes_and_their_order(two_classes: Path) -> None:
    data = sp.images.folder(two_classes)
    assert data.classes == ("cat", "dog")
    assert data.name == "animals"
    assert data.counts == {"cat": 2, "dog": 3}
    assert data.notes == ()
    for i, (label, name) in enumerate([("cat", "0"), ("cat", "1"), ("dog", "0"), ("dog", "1"), ("dog", "2")]):
        assert data.label_names[i] == label
        pixels = np.asarray(Image.open(two_classes / label / f"{name}.png"), dtype=np.float64)
        np.testing.assert_allclose(data.images[i], pixels.transpose(2, 0, 1) / 127.5 - 1, atol=2e-7)


def test_hidden_files_are_passed_over_and_counted(two_classes: Path) -> None:
    (two_classes / ".hidden").write_text("x")
    (two_classes / "cat" / ".thumbnails").write_text("x")
    assert sp.images.folder(two_classes).notes == ("2 hidden files passed over",)


def test_every_odd_picture_is_named_and_counted(two_classes: Path, picture: MakePicture) -> None:
    (two_classes / "cat" / "grey.png").write_bytes(picture(mode="L"))
    (two_classes / "cat" / "grey2.png").write_bytes(picture(mode="LA"))
    (two_classes / "cat" / "wide.png").write_bytes(picture(width=6))
    (two_classes / "dog" / "clear.png").write_bytes(picture(mode="RGBA"))
    (two_classes / "dog" / "text.png").write_text("no picture")
    (two_classes / "dog" / "cut.png").write_bytes(picture(height=40, width=40)[:-500])
    (two_classes / "dog" / "bomb.png").write_bytes(png_of_size(60000, 60000))
    with pytest.raises(SpecentError) as caught:
        sp.images.folder(two_classes)
    message = str(caught.value)
    assert "grey: 1 picture ('cat/grey.png')" in message
    assert "of another size than 4 x 4: 1 picture ('cat/wide.png: 4 x 6')" in message
    assert "transparent: 2 pictures ('cat/grey2.png', 'dog/clear.png')" in message
    assert "unreadable: 2 pictures ('dog/cut.png: cut short" in message
    assert "'dog/text.png: no picture in BMP," in message
    assert "too large: 1 picture ('dog/bomb.png: " in message
    assert "convert=True" in message
    assert "skip=True" in message
    left = sp.images.folder(two_classes, skip=True)
    assert left.counts == {"cat": 2, "dog": 3}
    assert [note.partition(" (")[0] for note in left.notes] == [
        "left out as grey: 1 picture", "left out as of another size: 1 picture", "left out as too large: 1 picture",
        "left out as transparent: 2 pictures", "left out as unreadable: 2 pictures",
    ]  # fmt: skip


def test_a_picture_without_its_end_is_cut_short(two_classes: Path, picture: MakePicture) -> None:
    (two_classes / "cat" / "cut.png").write_bytes(picture()[:-20])
    with pytest.raises(SpecentError, match=r"'cat/cut.png: cut short"):
        sp.images.folder(two_classes)


@pytest.mark.parametrize("head", [b"P6 4 4 65535\n", b"P6\n# 8 bits\n4 4\n65535\n"])
def test_sixteen_bits_are_not_cut_to_eight(two_classes: Path, head: bytes) -> None:
    (two_classes / "cat" / "deep.ppm").write_bytes(head + bytes(range(96)))
    with pytest.raises(SpecentError, match=r"'cat/deep.ppm: 16 bits per channel; save it with 8'"):
        sp.images.folder(two_classes)


@pytest.mark.parametrize("side", [9000, 200_000])
def test_a_picture_too_large_to_unpack_is_refused_by_its_head(two_classes: Path, side: int) -> None:
    (two_classes / "cat" / "bomb.png").write_bytes(png_of_size(side, side))
    with pytest.raises(SpecentError, match=r"too large: 1 picture \('cat/bomb.png"):
        sp.images.folder(two_classes)


def test_grey_pictures_are_read_as_one_channel_and_colour_is_then_odd(two_classes: Path, picture: MakePicture) -> None:
    for file in two_classes.rglob("*.png"):
        file.write_bytes(picture(mode="L"))
    data = sp.images.folder(two_classes, channels=1)
    assert data.shape == (1, 4, 4)
    pixels = np.asarray(Image.open(two_classes / "cat" / "0.png"), dtype=np.float64)
    np.testing.assert_allclose(data.images[0, 0], pixels / 127.5 - 1, atol=2e-7)
    (two_classes / "dog" / "1.png").write_bytes(picture())
    with pytest.raises(SpecentError, match=r"in colour: 1 picture \('dog/1.png'\).*channels=3"):
        sp.images.folder(two_classes, channels=1)


def test_conversion_is_explicit_and_counted(two_classes: Path, picture: MakePicture) -> None:
    (two_classes / "cat" / "1.png").write_bytes(picture(mode="L", seed=7))
    data = sp.images.folder(two_classes, convert=True)
    assert data.notes == ("1 picture grey, converted",)
    grey = np.asarray(Image.open(two_classes / "cat" / "1.png"), dtype=np.float64) / 127.5 - 1
    np.testing.assert_allclose(data.images[1], np.broadcast_to(grey, (3, 4, 4)), atol=2e-7)


def test_transparent_pictures_are_laid_on_black(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[..., 0], pixels[..., 3] = 255, [[255, 0], [51, 0]]
    Image.fromarray(pixels).save(tmp_path / "one" / "a.png")
    data = sp.images.folder(tmp_path, convert=True)
    # opacity 51 of 255 is a fifth
    expected = np.array([[255, 0], [51, 0]]) / 127.5 - 1
    np.testing.assert_allclose(data.images[0, 0], expected, atol=1e-6)
    assert (data.images[0, 1:] == -1).all()


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_colour_in_another_encoding_is_colour(tmp_path: Path, mode: str) -> None:
    (tmp_path / "one").mkdir()
    source = Image.new("RGB", (2, 2), (255, 0, 0)).convert(mode)
    source.save(tmp_path / "one" / "a.tif")
    data = sp.images.folder(tmp_path)
    np.testing.assert_allclose(data.images[0, :, 0, 0], [1, -1, -1], atol=1e-6)


def test_pixels_of_more_than_eight_bits_are_refused_even_with_conversion(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    Image.fromarray(np.full((2, 2), 40_000, dtype=np.uint16)).save(tmp_path / "one" / "a.png")
    with pytest.raises(SpecentError, match=r"unreadable: 1 picture .*16 bits.*with 8"):
        sp.images.folder(tmp_path, channels=1, convert=True)


def test_pictures_are_turned_upright_as_their_camera_says(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    pixels = np.zeros((2, 4, 3), dtype=np.uint8)
    pixels[0] = 255
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: the first row is the right column
    picture.save(tmp_path / "one" / "a.png", exif=exif)
    data = sp.images.folder(tmp_path)
    assert data.shape == (3, 4, 2)
    np.testing.assert_array_equal(data.images[0, 0], np.tile([-1.0, 1.0], (4, 1)))


def test_frames_beyond_the_first_are_not_dropped_silently(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    frames = [Image.new("RGB", (2, 2), (value, 0, 0)) for value in (255, 0)]
    frames[0].save(tmp_path / "one" / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(SpecentError, match="with several frames: 1 picture"):
        sp.images.folder(tmp_path)
    data = sp.images.folder(tmp_path, convert=True)
    np.testing.assert_allclose(data.images[0, :, 0, 0], [1, -1, -1], atol=1e-6)


def test_another_size_is_scaled_only_if_an_option_says_so(two_classes: Path, picture: MakePicture) -> None:
    (two_classes / "cat" / "wide.png").write_bytes(picture(height=4, width=12))
    with pytest.raises(SpecentError, match=r"of another size than 4 x 4: 1 picture \('cat/wide.png: 4 x 12'\)"):
        sp.images.folder(two_classes, size=4)
    cropped = sp.images.folder(two_classes, size=4, resize="crop")
    assert cropped.notes == ("1 picture cropped and scaled",)
    wide = np.asarray(Image.open(two_classes / "cat" / "wide.png"), dtype=np.float64).transpose(2, 0, 1)
    # of the right height already: its middle, untouched
    np.testing.assert_allclose(cropped.images[2], wide[:, :, 4:8] / 127.5 - 1, atol=1e-2)
    stretched = sp.images.folder(two_classes, size=4, resize="stretch")
    assert stretched.notes == ("1 picture stretched",)
    # a filter keeps the mean, up to the rounding of pixels and what it cuts off at black and white
    assert abs(stretched.images[2].mean() - (wide.mean() / 127.5 - 1)) < 0.1


def test_a_size_may_be_a_pair(two_classes: Path) -> None:
    assert sp.images.folder(two_classes, size=(2, 3), resize="stretch").shape == (3, 2, 3)


def test_empty_classes_are_refused(two_classes: Path) -> None:
    (two_classes / "bird").mkdir()
    (two_classes / "ant").mkdir()
    (two_classes / "ant" / ".keep").write_text("")
    with pytest.raises(SpecentError, match=r"2 classes \('ant', 'bird'\) without pictures"):
        sp.images.folder(two_classes)


def test_a_class_left_empty_by_what_is_skipped_is_refused(two_classes: Path) -> None:
    for file in (two_classes / "cat").iterdir():
        file.write_text("no picture")
    with pytest.raises(SpecentError, match=r"1 class \('cat'\) without pictures that can be used"):
        sp.images.folder(two_classes, skip=True)


def test_folders_of_another_form_are_refused(two_classes: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="is no folder"):
        sp.images.folder(tmp_path / "none")
    with pytest.raises(SpecentError, match="holds no folders"):
        sp.images.folder(two_classes / "cat")
    (two_classes / "readme.txt").write_text("x")
    with pytest.raises(SpecentError, match=r"1 file \('readme.txt'\) beside the folders"):
        sp.images.folder(two_classes)
    (two_classes / "readme.txt").unlink()
    (two_classes / "cat" / "more").mkdir()
    with pytest.raises(SpecentError, match=r"1 folder \('cat/more'\)"):
        sp.images.folder(two_classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "channels=2"),
        ({"channels": 4}, "channels=4"),
        ({"size": 0}, "size=0"),
        ({"size": (1, 2, 3)}, "size="),
        ({"resize": "crop"}, "resize='crop' needs a size"),
        ({"resize": "zoom", "size": 4}, "resize='zoom'"),
        ({"convert": 1}, "convert=1"),
        ({"skip": "yes"}, "skip='yes'"),
        ({"path": 5}, "path=5"),
        ({"path": ""}, "path=''"),
        ({"path": "a\0b"}, "path='a"),
        ({"path": "~nobody-of-this-name/x"}, "path='~nobody"),
    ],
)
def test_bad_arguments_are_named(two_classes: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.images.folder(**{"path": two_classes, **options})


def test_a_file_that_could_start_a_program_is_not_opened(tmp_path: Path) -> None:
    """PostScript is run by an interpreter; its reader is not among those allowed."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n(x) run\n%%EOF\n")
    with pytest.raises(SpecentError, match="unreadable: 1 picture"):
        sp.images.folder(tmp_path)


def test_a_grid_of_pictures_can_be_read_back(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).random((5, 3, 2, 2))
    path = write_grid(tmp_path / "grid.png", pictures, columns=3, gap=1, scale=2)
    sheet = np.asarray(Image.open(path), dtype=np.float64)[::2, ::2] / 255
    assert sheet.shape == (2 * 3 + 1, 3 * 3 + 1, 3)
    for i, picture in enumerate(pictures):
        top, left = 1 + i // 3 * 3, 1 + i % 3 * 3
        np.testing.assert_allclose(sheet[top : top + 2, left : left + 2].transpose(2, 0, 1), picture, atol=0.5 / 255)
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]
    grey = write_grid(tmp_path / "grey.png", np.full((1, 1, 2, 2), 2.0), columns=1)
    assert np.asarray(Image.open(grey))[1:3, 1:3].min() == 255
    with pytest.raises(SpecentError, match="NaN"):
        write_grid(tmp_path / "bad.png", np.full((1, 1, 2, 2), np.nan), columns=1)


def test_a_picture_is_read_the_same_whatever_its_format(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    digests = []
    for form in ("PNG", "BMP", "PPM", "TIFF"):
        (tmp_path / form / "one").mkdir(parents=True)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, form)
        (tmp_path / form / "one" / "a").write_bytes(file.getvalue())
        digests.append(sp.images.folder(tmp_path / form).sha256)
    assert len(set(digests)) == 1
