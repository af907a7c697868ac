from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from rasters import DEEP, GRAY, Write, as_bytes, as_mode, by_opencv, png, tiff, twelve_bits

from edgeseg.images import (
    CONVERSIONS,
    ROTATED,
    list_files,
    read_and_convert,
    read_image,
    read_mask,
    write_mask,
)

in_folders = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    file: str = "a.png"
    write: Write
    conversions: tuple[str, ...] = ()
    within: int = 0  # levels of gray


DEEP_BYTES = DEEP.astype(">u2").view(np.uint8)
KINDS = [
    Kind(name="RGB png", write=as_mode("RGB")),
    Kind(name="RGB jpeg", file="a.jpg", write=as_mode("RGB", quality=100), within=1),
    Kind(name="RGB bmp", file="a.bmp", write=as_mode("RGB")),
    Kind(name="RGB webp", file="a.webp", write=as_mode("RGB", lossless=True)),
    Kind(name="upper case", file="A.PNG", write=as_mode("RGB")),
    Kind(name="gray", write=as_mode("L"), conversions=("gray",)),
    Kind(name="gray jpeg", file="a.jpg", write=as_mode("L", quality=100), conversions=("gray",),
         within=1),
    Kind(name="gray and alpha", write=as_mode("LA"), conversions=("gray", "alpha")),
    Kind(name="gray, one level transparent", write=as_mode("L", transparency=0),
         conversions=("gray", "alpha")),
    Kind(name="alpha", write=as_mode("RGBA"), conversions=("alpha",)),
    Kind(name="one color transparent", write=as_mode("RGB", transparency=(0, 0, 0)),
         conversions=("alpha",)),
    Kind(name="palette", write=as_mode("P"), conversions=("palette",)),
    Kind(name="palette, one color transparent", write=as_mode("P", transparency=0),
         conversions=("alpha", "palette")),
    Kind(name="palette, some colors half transparent",
         write=as_mode("P", transparency=bytes(range(100))), conversions=("alpha", "palette")),
    Kind(name="palette and alpha", file="a.tif", write=as_mode("PA"),
         conversions=("alpha", "palette")),
    Kind(name="CMYK tiff", file="a.tif", write=as_mode("CMYK"), conversions=("CMYK",), within=1),
    Kind(name="CMYK jpeg", file="a.jpg", write=as_mode("CMYK", quality=100),
         conversions=("CMYK",), within=1),
    Kind(name="16-bit gray", write=by_opencv(1), conversions=("gray", "16-bit")),
    Kind(name="16-bit gray tiff", file="a.tif", write=by_opencv(1),
         conversions=("gray", "16-bit")),
    Kind(name="16-bit gray and alpha", conversions=("gray", "alpha", "16-bit"),
         write=as_bytes(png(np.repeat(DEEP_BYTES.reshape(8, -1, 2), 2, axis=1).reshape(8, -1),
                            bits=16, kind=4))),
    Kind(name="16-bit RGB", write=by_opencv(3), conversions=("16-bit",)),
    Kind(name="16-bit RGBA", write=by_opencv(4), conversions=("alpha", "16-bit")),
    Kind(name="16-bit RGB tiff", file="a.tif",
         write=by_opencv(3, cv2.IMWRITE_TIFF_COMPRESSION, 1), conversions=("16-bit",)),
    Kind(name="16-bit RGB tiff, packed", file="a.tif", write=by_opencv(3),
         conversions=("16-bit",)),
    Kind(name="32 bits that need only 16", file="a.tif", conversions=("gray", "16-bit"),
         write=as_bytes(tiff([DEEP.astype("<u4").tobytes()], bits=32))),
    Kind(name="12-bit gray", file="a.tif", write=as_bytes(twelve_bits()),
         conversions=("gray", "16-bit")),
    Kind(name="8-bit gray of which 0 is white", file="a.tif", conversions=("gray",),
         write=as_bytes(tiff([(255 - GRAY).tobytes()], bits=8, white=0))),
    Kind(name="8-bit RGB in planes", file="a.tif",
         write=as_bytes(tiff([GRAY.tobytes()] * 3, bits=8, channels=3, white=2))),
    Kind(name="4-bit gray", conversions=("gray",), within=15,
         write=as_bytes(png(GRAY[:, ::2] // 16 << 4 | GRAY[:, 1::2] // 16, bits=4, kind=0))),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_images_of_any_kind_are_read_as_bgr(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / kind.file
    kind.write(path)
    image, conversions = read_and_convert(path)
    assert (image.shape, image.dtype) == ((8, 128, 3), np.uint8)
    assert conversions == kind.conversions
    for channel in range(3):
        assert np.abs(image[:, :, channel].astype(int) - GRAY).max() <= kind.within
    np.testing.assert_array_equal(read_image(path), image)


def test_a_bitmap_of_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GRAY > 100).save(tmp_path / "a.png")
    image, conversions = read_and_convert(tmp_path / "a.png")
    np.testing.assert_array_equal(image, np.where(GRAY > 100, 255, 0)[:, :, None].repeat(3, 2))
    assert conversions == ("gray",)


def test_16_bits_for_all_three_channels_are_not_16_bits_each(tmp_path: Path) -> None:
    """A BMP of 5, 6 and 5 bits, which Pillow calls BGR;16."""
    header = struct.pack("<2sIHHI", b"BM", 66 + 8, 0, 0, 66)
    details = struct.pack("<IiiHHIIiiII", 40, 4, -1, 1, 16, 3, 8, 0, 0, 0, 0)
    red, green, blue = 0xF800, 0x07E0, 0x001F
    pixels = struct.pack("<4H", 0xFFFF, red, green, blue)
    (tmp_path / "a.bmp").write_bytes(
        header + details + struct.pack("<3I", red, green, blue) + pixels
    )
    image, conversions = read_and_convert(tmp_path / "a.bmp")
    assert image[0].tolist() == [[255, 255, 255], [0, 0, 255], [0, 255, 0], [255, 0, 0]]
    assert conversions == ()


@pytest.mark.parametrize("file", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_of_16_bits_the_upper_8_are_kept(file: str, channels: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), np.uint16)
    cv2.imwrite(str(tmp_path / file), values)
    expected = np.broadcast_to((values >> 8)[:, :, :3], (5, 7, 3))
    np.testing.assert_array_equal(read_image(tmp_path / file), expected)


@pytest.mark.parametrize("marked", [True, False], ids=["Adobe's marker", "no marker"])
def test_an_inverted_cmyk_jpeg_has_its_colors(marked: bool, tmp_path: Path) -> None:
    """Photoshop stores ink as its absence, and every reader takes CMYK JPEGs so."""
    ink = np.kron(
        np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8),
        np.ones((16, 16, 1), np.uint8),  # whole blocks of the JPEG, so that nothing is lost
    )
    path = tmp_path / "a.jpg"
    Image.fromarray(ink, "CMYK").save(path, quality=100)
    content = path.read_bytes()
    start = content.index(b"\xff\xee")
    if not marked:
        (length,) = struct.unpack(">H", content[start + 2 : start + 4])
        path.write_bytes(content[:start] + content[start + 2 + length :])
    image = read_image(path)
    expected = (255 - ink[:, :, 2::-1].astype(float)) * (255 - ink[:, :, 3:]) / 255
    np.testing.assert_allclose(image, expected, atol=3)  # the JPEG's and two roundings
    np.testing.assert_allclose(image, cv2.imread(str(path)).astype(int), atol=3)


# How a picture looks that is stored so, by the orientation of the EXIF standard.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}
STORED = np.arange(12, dtype=np.uint8).reshape(3, 4)


def store(path: Path, orientation: int, values: np.ndarray = STORED) -> None:
    image = Image.fromarray(values)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)


@pytest.mark.parametrize("file", ["a.png", "a.tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_an_image_is_turned_upright(orientation: int, file: str, tmp_path: Path) -> None:
    store(tmp_path / file, orientation)
    image, conversions = read_and_convert(tmp_path / file)
    np.testing.assert_array_equal(image[:, :, 0], UPRIGHT[orientation](STORED))
    assert conversions == (("gray",) if orientation == 1 else ("gray", ROTATED))


@pytest.mark.parametrize("file", ["a.jpg", "a.webp"])
def test_a_photo_is_turned_upright(file: str, tmp_path: Path) -> None:
    store(tmp_path / file, 6, np.zeros((4, 8, 3), np.uint8))
    image, conversions = read_and_convert(tmp_path / file)
    assert (image.shape, conversions) == ((8, 4, 3), (ROTATED,))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_mask_is_turned_as_its_image_is(orientation: int, tmp_path: Path) -> None:
    store(tmp_path / "m.png", orientation)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), UPRIGHT[orientation](STORED))


@in_folders
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16"]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    orientation=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_whatever_is_read_is_bgr(
    mode: str, height: int, width: int, orientation: int, seed: int, tmp_path_factory
) -> None:
    path = tmp_path_factory.mktemp("images") / "a.tif"
    random = np.random.default_rng(seed)
    if mode == "I;16":
        image = Image.fromarray(random.integers(256, 65536, (height, width), np.uint16))
    else:
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
        image = image.convert("L").convert(mode) if mode == "PA" else image.convert(mode)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    read, conversions = read_and_convert(path)
    sides = (width, height) if orientation in range(5, 9) else (height, width)
    assert (read.shape, read.dtype) == ((*sides, 3), np.uint8)
    assert read.flags.c_contiguous
    assert (ROTATED in conversions) is (orientation in range(2, 9))
    assert [name for name in CONVERSIONS if name in conversions] == list(conversions)


@in_folders
@given(
    mask=st.one_of(
        *(
            arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9)))
            for dtype in (np.uint8, np.uint16)
        )
    )
)
def test_masks_keep_their_ids(mask: np.ndarray, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("masks") / "m.png"
    write_mask(mask, path)
    with Image.open(path) as image:
        assert image.mode in ("L" if mask.dtype == np.uint8 else {"I;16", "I"})
    read = read_mask(path)
    np.testing.assert_array_equal(read, mask)
    assert read.dtype == (np.uint8 if mask.max() <= 255 else np.uint16)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_masks_ids_are_its_indices(bits: int, tmp_path: Path) -> None:
    ids = np.arange(1 << bits, dtype=np.uint8)[None]
    image = Image.fromarray(ids).convert("P")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 3 << bits, np.uint8).tobytes())
    image.putdata(ids[0].tolist())
    image.save(tmp_path / "m.png", bits=bits)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), ids)


def test_a_mask_of_one_bit_holds_the_ids_0_and_1(tmp_path: Path) -> None:
    Image.fromarray(STORED > 5).save(tmp_path / "m.png")
    read = read_mask(tmp_path / "m.png")
    np.testing.assert_array_equal(read, STORED > 5)
    assert read.dtype == np.uint8


def test_a_folder_is_listed_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "._a.png", ".DS_Store", ".b.partial.png", "c.txt", "Thumbs.db"):
        (tmp_path / name).touch()
    assert [path.name for path in list_files(tmp_path)] == ["a.png", "b.JPG"]
    assert [path.name for path in list_files(tmp_path, (".txt",))] == ["c.txt"]
