"""Images of more than 8 bits, and TIFFs that Pillow does not read, are read as written."""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from guide import is_in_the_guide
from PIL import Image
from rasters import DEEP, GRAY, Write, as_bytes, as_mode, by_opencv, tiff, twelve_bits

from edgeseg.data_rules import ValueRange
from edgeseg.errors import SourceError
from edgeseg.images import PERHAPS_12_BITS, read_and_convert, read_image
from edgeseg.images.bands import read_frame, read_frame_and_convert

HEIGHT, WIDTH = GRAY.shape
TWELVE = ValueRange(0, 4095)


def draw(channels: int, highest: int, dtype: str = "uint16") -> np.ndarray:
    values = np.random.default_rng(channels).integers(0, highest + 1, (HEIGHT, WIDTH, channels))
    return values.astype(dtype)


def scale(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """In whole numbers, halves up: another way than the one that is tested."""
    span = high - low
    clipped = np.clip(values.astype(int) - low, 0, span)
    return ((2 * 255 * clipped + span) // (2 * span)).astype(np.uint8)


def by_rasterio(values: np.ndarray, **profile: object) -> Write:
    def write(path: Path) -> None:
        shape = {"height": HEIGHT, "width": WIDTH, "count": values.shape[2], "dtype": values.dtype}
        with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633",
                           transform=rasterio.Affine(2, 0, 0, 0, -2, 0), **shape,
                           **profile) as raster:  # fmt: skip
            raster.write(np.moveaxis(values, 2, 0))

    return write


PROFILES = [
    {"interleave": "pixel"},
    {"interleave": "band"},
    {"interleave": "pixel", "compress": "lzw", "predictor": 2},
    {"interleave": "band", "compress": "deflate"},
    {"interleave": "pixel", "compress": "zstd"},
    {"interleave": "band", "compress": "packbits"},
    {"interleave": "pixel", "compress": "lerc"},
    {"tiled": True, "blockxsize": 64, "blockysize": 16, "compress": "lzw"},
    {"BIGTIFF": "YES", "photometric": "rgb"},
]


@pytest.mark.parametrize("profile", PROFILES, ids=str)
@pytest.mark.parametrize("channels", [3, 4, 5, 8])
def test_bands_of_any_depth_are_read(channels: int, profile: dict, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for values, stored in (
        (draw(channels, 255, "uint8"), {}),
        (draw(channels, 65535), {}),
        (draw(channels, 4095), {} if {"lerc", 2} & set(profile.values()) else {"NBITS": 12}),
    ):
        by_rasterio(values, **profile, **stored)(path)
        if values.dtype == np.uint8:
            expected, found = values, read_frame(path, channels)
        else:
            expected = scale(values, 100, 4000)
            found = read_frame(path, channels, ValueRange(100, 4000))
        if channels == 3:
            expected = expected[:, :, ::-1]
        np.testing.assert_array_equal(found, expected, strict=True)
        assert found.flags["C_CONTIGUOUS"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    file: str = "a.tif"
    write: Write
    conversions: tuple[str, ...] = ()


def as_tiff(*strips: np.ndarray, white: int = 1, bits: int = 16, extra: tuple = ()) -> Write:
    channels = strips[0].shape[2] if strips[0].ndim == 3 else len(strips)
    content = tiff(
        [strip.tobytes() for strip in strips], bits=bits, channels=channels, white=white,
        extra=extra,
    )  # fmt: skip
    return as_bytes(content)


THREE = np.repeat(DEEP[:, :, None], 3, axis=2)
FOUR = np.repeat(DEEP[:, :, None], 4, axis=2)
# What Pillow misreads, or does not read, and what is then said of it without a range.
BEYOND_PILLOW = [
    Kind(name="16-bit RGB in planes", write=as_tiff(DEEP, DEEP, DEEP, white=2),
         conversions=("16-bit",)),
    Kind(name="16-bit gray of which 0 is white", write=as_tiff(65535 - DEEP, white=0),
         conversions=("gray", "16-bit")),
    Kind(name="16-bit bands of which none is named", write=as_tiff(THREE),
         conversions=("16-bit", "three bands as red, green and blue")),
    Kind(name="8-bit bands of which none is named", write=by_rasterio(THREE.astype(np.uint8),
         photometric="minisblack"), conversions=("three bands as red, green and blue",)),
    Kind(name="12-bit RGB", write=by_rasterio(THREE >> 4, NBITS=12, photometric="rgb"),
         conversions=("16-bit",)),
    Kind(name="RGB packed by LERC", conversions=("16-bit",),
         write=by_rasterio(THREE, compress="lerc", photometric="rgb")),
]  # fmt: skip


@pytest.mark.parametrize("kind", BEYOND_PILLOW, ids=lambda kind: kind.name)
def test_a_color_tiff_that_pillow_does_not_read(kind: Kind, tmp_path: Path) -> None:
    kind.write(tmp_path / kind.file)
    image, conversions = read_and_convert(tmp_path / kind.file)
    np.testing.assert_array_equal(image, np.repeat(GRAY[:, :, None], 3, axis=2), strict=True)
    assert conversions == kind.conversions


IN_A_RANGE = [
    *(
        Kind(name=f"{channels} channels of 16 bits", file=file, write=by_opencv(channels),
             conversions=conversions)
        for file in ("a.png", "a.tif")
        for channels, conversions in ((1, ("gray",)), (3, ()), (4, ("alpha",)))
    ),
    Kind(name="planes", write=as_tiff(DEEP, DEEP, DEEP, white=2)),
    Kind(name="white is 0", write=as_tiff(65535 - DEEP, white=0), conversions=("gray",)),
    Kind(name="floats", conversions=("gray",),
         write=as_bytes(tiff([DEEP.astype("<f4").tobytes()], bits=32, sample=3))),
    Kind(name="32 bits", conversions=("gray",),
         write=as_bytes(tiff([DEEP.astype("<u4").tobytes()], bits=32))),
]  # fmt: skip


@pytest.mark.parametrize("kind", IN_A_RANGE, ids=lambda kind: f"{kind.name} in {kind.file}")
def test_a_range_says_what_is_black_and_white(kind: Kind, tmp_path: Path) -> None:
    kind.write(tmp_path / kind.file)
    image, conversions = read_and_convert(tmp_path / kind.file, ValueRange(5000, 50000))
    expected = np.repeat(scale(DEEP, 5000, 50000)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(image, expected, strict=True)
    assert conversions == kind.conversions


def test_colors_keep_their_places(tmp_path: Path) -> None:
    blue_green_red = draw(3, 4095)
    for file in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / file), blue_green_red)
        image = read_image(tmp_path / file, TWELVE)
        np.testing.assert_array_equal(image, scale(blue_green_red, 0, 4095))


@pytest.mark.parametrize(
    ("file", "channels"), [("a.png", 1), ("a.png", 3), ("a.tif", 1), ("a.tif", 3)]
)
def test_12_bits_in_16_are_doubted(file: str, channels: int, tmp_path: Path) -> None:
    for highest, doubted in ((4095, True), (4096, False)):
        values = np.full((4, 5, channels), 300, np.uint16)
        values[2, 3] = highest
        cv2.imwrite(str(tmp_path / file), values)
        conversions = read_and_convert(tmp_path / file)[1]
        assert (PERHAPS_12_BITS in conversions) is doubted
        assert PERHAPS_12_BITS not in read_and_convert(tmp_path / file, TWELVE)[1]


def test_12_bits_a_pixel_are_the_files_values(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(twelve_bits())
    image = read_image(tmp_path / "a.tif", TWELVE)
    np.testing.assert_array_equal(image[:, :, 0], scale(GRAY.astype(int) * 16, 0, 4095))


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_an_array_is_scaled(channels: int, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", draw(channels, 4095))
    found = read_frame(tmp_path / "a.npy", channels, TWELVE)
    np.testing.assert_array_equal(found, scale(draw(channels, 4095), 0, 4095), strict=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_image_is_turned_upright(orientation: int, tmp_path: Path) -> None:
    """As Pillow turns the same picture in 8 bits."""
    planes = [(draw(3, 255, "uint8")[:, :, i]).astype(np.uint16) * 257 for i in range(3)]
    deep = tiff([plane.tobytes() for plane in planes], bits=16, channels=3, white=2,
                orientation=orientation)  # fmt: skip
    (tmp_path / "a.tif").write_bytes(deep)
    turned = Image.fromarray(draw(3, 255, "uint8"))
    exif = turned.getexif()
    exif[274] = orientation
    turned.save(tmp_path / "b.png", exif=exif)
    cv2.imwrite(str(tmp_path / "a.png"), np.stack(planes[::-1], axis=2))
    add_exif(tmp_path / "a.png", exif.tobytes())
    expected, conversions = read_and_convert(tmp_path / "b.png")
    found, said = read_and_convert(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, expected)
    assert said == ("16-bit", *conversions)
    found, said = read_and_convert(tmp_path / "a.png", ValueRange(0, 65535))
    np.testing.assert_array_equal(found, expected)
    assert said == conversions


def add_exif(path: Path, exif: bytes) -> None:
    """Put a chunk eXIf behind a PNG's header."""
    content, body = path.read_bytes(), b"eXIf" + exif.removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content[:33] + chunk + content[33:])


def test_bands_in_pages_are_said(tmp_path: Path) -> None:
    first, *rest = (Image.fromarray(draw(4, 255, "uint8")) for _ in range(2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
    assert read_frame_and_convert(tmp_path / "a.tif", 4)[1] == ("first of several frames",)


@dataclass(frozen=True, kw_only=True)
class Refused:
    name: str
    file: str = "a.tif"
    write: Write
    says: str
    value_range: ValueRange | None = TWELVE
    channels: int = 3
    has_rasterio: bool = True


INSTALL = r"pip install 'edgeseg\[geo\]' -c constraints.txt$"
NANS = np.where(GRAY > 9, GRAY, np.nan).astype("<f4")
REFUSALS = [
    Refused(name="planes", says=f"that Pillow misreads .*; or read it with rasterio: {INSTALL}",
            write=as_tiff(DEEP, DEEP, DEEP, white=2), value_range=None, has_rasterio=False),
    Refused(name="3 bands", says=f"format is not known; or read it with rasterio: {INSTALL}",
            write=as_tiff(THREE), value_range=None, has_rasterio=False),
    Refused(name="no image", says="format is not known$", write=as_bytes(b"none"),
            value_range=None, has_rasterio=False),
    Refused(name="color", says=f"has 3 channels of 16 bits, which rasterio reads; run: {INSTALL}",
            file="a.png", write=by_opencv(3), has_rasterio=False),
    Refused(name="color", says="has 8 bits a sample, and a range", write=as_mode("RGB")),
    Refused(name="a photo", says="has 8 bits", file="a.jpg", write=as_mode("RGB")),
    Refused(name="an array", says="has 8 bits", file="a.npy", channels=4,
            write=lambda path: np.save(path, FOUR.astype(np.uint8))),
    Refused(name="no number", says=r"values that are no numbers \(NaN\)",
            write=as_bytes(tiff([NANS.tobytes()], bits=32, sample=3))),
    Refused(name="6 bands", says="has 6 channels, and the network takes color",
            write=by_rasterio(draw(6, 9))),
    Refused(name="6 bands", says="has 6 channels, and the network takes 4",
            write=by_rasterio(draw(6, 9)), channels=4),
    Refused(name="ink", says=r"channels of a kind \(PhotometricInterpretation 5\)",
            write=as_tiff(FOUR, white=5)),
    Refused(name="CIELAB", says=r"channels of a kind \(PhotometricInterpretation 8\)",
            write=as_tiff(THREE, white=8)),
    Refused(name="damaged", says="cannot be read as an image: ", write=as_bytes(b"II*\0cut")),
    Refused(name="cut off", says="cannot be read as an image: ",
            write=lambda path: path.write_bytes(
                tiff([THREE.tobytes()], bits=16, channels=3, white=2).replace(THREE.tobytes(), b"")
            )),
    Refused(name="missing", says="does not exist$", write=lambda _path: None),
    Refused(name="floats", says="holds floating-point pixels", value_range=None,
            write=by_rasterio(THREE.astype(np.float32))),
    Refused(name="dark", says="holds 16-bit values below 256 only and would be black",
            write=as_tiff(THREE // 300, white=2), value_range=None),
    Refused(name="dark bands", says="holds values up to 217 of 65535 and would be black",
            write=as_tiff(THREE // 300), value_range=None),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.name} in {case.file}")
def test_what_has_no_scale_is_refused(
    case: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not case.has_rasterio:
        monkeypatch.setitem(sys.modules, "rasterio", None)
    case.write(tmp_path / case.file)
    with pytest.raises(SourceError, match=case.says) as caught:
        read_frame(tmp_path / case.file, case.channels, case.value_range)
    assert str(caught.value).count(str(tmp_path / case.file)) == 1
    assert is_in_the_guide(str(caught.value))
