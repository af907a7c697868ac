"""Images of other than three channels are read as their files store them, or refused."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from guide import is_in_the_guide
from PIL import Image
from rasters import GRAY, Write, as_bytes, as_mode, by_opencv, tiff

from edgeseg.errors import SourceError
from edgeseg.images import ROTATED
from edgeseg.images.bands import read_frame, read_frame_and_convert

HEIGHT, WIDTH = GRAY.shape


def bands(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)


def as_array(values: np.ndarray) -> Write:
    return lambda path: np.save(path, values)


def as_tiff(channels: int, *, white: int, extra: tuple[int, ...] = ()) -> Write:
    strips = [bands(channels).tobytes()]
    return as_bytes(tiff(strips, bits=8, channels=channels, white=white, extra=extra))


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 12])
def test_an_array_is_read_as_it_is(channels: int, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(bands(channels)))
    found = read_frame(tmp_path / "a.npy", channels)
    np.testing.assert_array_equal(found, bands(channels), strict=True)
    assert found.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("channels", "file", "write"),
    [
        pytest.param(4, "a.tif", as_tiff(4, white=2), id="4 bands, nothing said of the last"),
        pytest.param(4, "a.tif", as_tiff(4, white=2, extra=(2,)), id="RGBA"),
        pytest.param(4, "a.tiff", as_tiff(4, white=5), id="CMYK"),
        pytest.param(2, "a.TIF", as_tiff(2, white=1, extra=(2,)), id="gray and alpha"),
        *(
            pytest.param(
                channels, file, lambda path, n=channels: Image.fromarray(bands(n)).save(path)
            )
            for channels in (2, 4)
            for file in ("a.png", "a.tif")
        ),
    ],
)
def test_samples_that_pillow_gives_as_they_are(
    channels: int, file: str, write: Write, tmp_path: Path
) -> None:
    write(tmp_path / file)
    np.testing.assert_array_equal(read_frame(tmp_path / file, channels), bands(channels))


def test_a_turned_file_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(bands(4)).save(tmp_path / "a.png", exif=exif)
    found, conversions = read_frame_and_convert(tmp_path / "a.png", 4)
    np.testing.assert_array_equal(found, np.rot90(bands(4), -1))
    assert conversions == (ROTATED,)


def test_three_channels_are_a_cameras(tmp_path: Path) -> None:
    Image.fromarray(bands(3)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png", 3), bands(3)[:, :, ::-1])
    as_array(bands(3))(tmp_path / "a.npy")
    with pytest.raises(SourceError, match=r"a.npy is an array, and the network takes color"):
        read_frame(tmp_path / "a.npy", 3)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    name: str
    write: Write
    says: str
    file: str = "a.tif"
    channels: int = 4


SAVE = r"save \d bands with np.save as a .npy file of uint8 \(height, width, \d\)"
INSTALL = r"; or read it with rasterio: pip install 'edgeseg\[geo\]' -c constraints.txt$"
# TIFFs that are read if rasterio is there.
BEYOND_PILLOW = [
    Refusal(name="5 bands", channels=5, says=SAVE, write=as_tiff(5, white=2, extra=(0, 0))),
    Refusal(name="3 and one", says=SAVE, write=as_tiff(4, white=2, extra=(0,))),
    Refusal(name="multiplied", says=SAVE, write=as_tiff(4, white=2, extra=(1,))),
    Refusal(name="4 grays", says=SAVE, write=as_tiff(4, white=1, extra=(0, 0, 0))),
    Refusal(name="gray and one", channels=2, says=SAVE, write=as_tiff(2, white=1, extra=(0,))),
    Refusal(
        name="planes",
        says=SAVE,
        write=as_bytes(
            tiff([bands(4)[:, :, i].tobytes() for i in range(4)], bits=8, channels=4, white=2)
        ),
    ),
]
REFUSALS = [
    Refusal(name="16 bits", says="more than 8 bits a sample; say with --range", write=by_opencv(4)),
    Refusal(name="a JPEG", file="a.jpg", says="Pillow as CMYK", write=as_mode("CMYK")),
    Refusal(name="color", file="a.png", says="Pillow as RGB", write=as_mode("RGB")),
    Refusal(name="gray", file="a.png", says="Pillow as L", write=as_mode("L")),
    Refusal(name="2 of 4", file="a.png", says="has 2 channels, .* takes 4", write=as_mode("LA")),
    Refusal(name="damaged", says="cannot be read as an image: ", write=as_bytes(b"II*\0cut")),
    Refusal(name="no image", file="a.png", says="format is not known$", write=as_bytes(b"a")),
    Refusal(
        name="16 bits",
        file="a.npy",
        says=r"uint16 values; say with --range LOW,HIGH .* scaled.astype\(np.uint8\)",
        write=as_array(bands(4).astype(np.uint16)),
    ),
    Refusal(
        name="floats", file="a.npy", says="float32", write=as_array(bands(4).astype(np.float32))
    ),
    Refusal(
        name="bands first",
        file="a.npy",
        says=r"4x8x128, .* save np.moveaxis\(bands, 0, -1\)",
        write=as_array(np.moveaxis(bands(4), 2, 0)),
    ),
    Refusal(name="5 of 4", file="a.npy", says="8x128x5", write=as_array(bands(5))),
    Refusal(name="gray", file="a.npy", says="shape 8x128,", write=as_array(GRAY)),
    Refusal(name="nothing", file="a.npy", says="0x3x4", write=as_array(bands(4)[:0, :3])),
    Refusal(
        name="objects",
        file="a.npy",
        says="cannot be read as an array",
        write=lambda path: np.save(path, np.array([{}]), allow_pickle=True),
    ),
    Refusal(name="cut", file="a.npy", says="cannot be read", write=as_bytes(b"\x93NUMPY\1")),
    Refusal(name="empty", file="a.npy", says="cannot be read", write=as_bytes(b"")),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.name} in {case.file}")
def test_what_is_not_so_many_bands_is_refused(case: Refusal, tmp_path: Path) -> None:
    case.write(tmp_path / case.file)
    with pytest.raises(SourceError, match=case.says) as caught:
        read_frame(tmp_path / case.file, case.channels)
    assert is_in_the_guide(str(caught.value))


@pytest.mark.parametrize("case", BEYOND_PILLOW, ids=lambda case: case.name)
def test_bands_that_pillow_does_not_give_are_read_with_rasterio(
    case: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.write(tmp_path / "a.tif")
    found = read_frame(tmp_path / "a.tif", case.channels)
    np.testing.assert_array_equal(found, bands(case.channels), strict=True)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(SourceError, match=case.says + INSTALL) as caught:
        read_frame(tmp_path / "a.tif", case.channels)
    assert is_in_the_guide(str(caught.value))


@pytest.mark.parametrize("file", ["a.npy", "a.tif"])
def test_a_file_that_is_not_there(file: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist$"):
        read_frame(tmp_path / file, 4)
