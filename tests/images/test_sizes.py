"""Large images are read if the memory holds them, and Pillow's limit is as it was."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rasterio
from guide import is_in_the_guide
from PIL import Image

from edgeseg.errors import SourceError
from edgeseg.images import read_image
from edgeseg.images.bands import read_frame
from edgeseg.images.opening import lift_limit
from edgeseg.images.sizes import SizeTeller

LIMIT = 1000


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own, which a test's image exceeds."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", LIMIT)


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("file", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp", "a.avif"])
def test_an_image_above_pillows_limit_is_read(file: str, tmp_path: Path) -> None:
    """Without a warning, which would be an error here."""
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (80, 60), "white").save(tmp_path / file, exif=exif)
    shape = (60, 80, 3) if file == "a.bmp" else (80, 60, 3)
    assert read_image(tmp_path / file).shape == shape
    assert Image.MAX_IMAGE_PIXELS == LIMIT


@pytest.mark.usefixtures("low_limit")
def test_many_threads_leave_the_limit_as_it_was(tmp_path: Path) -> None:
    Image.new("L", (80, 60)).save(tmp_path / "large.tif")
    Image.new("L", (8, 6)).save(tmp_path / "small.tif")
    paths = [tmp_path / name for name in ("large.tif", "small.tif")] * 40
    with ThreadPoolExecutor(8) as pool:
        shapes = {image.shape for image in pool.map(read_image, paths)}
    assert shapes == {(60, 80, 3), (6, 8, 3)}
    assert Image.MAX_IMAGE_PIXELS == LIMIT


@pytest.mark.usefixtures("low_limit")
def test_the_limit_holds_again_after_the_last_reader() -> None:
    with lift_limit():
        with lift_limit(2 * LIMIT):
            pass
        assert Image.MAX_IMAGE_PIXELS is None
    with lift_limit(LIMIT):
        assert Image.MAX_IMAGE_PIXELS == LIMIT


def png_that_claims(side: int) -> bytes:
    """A PNG of a few bytes that says it is a square of that side."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
              (b"IDAT", zlib.compress(b"")), (b"IEND", b""))  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
        for tag, body in chunks
    )


def test_a_tiny_file_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_that_claims(60_000))
    with pytest.raises(SourceError) as caught:
        read_image(tmp_path / "a.png")
    assert str(caught.value) == (
        f"{tmp_path / 'a.png'} has 60000x60000 pixels (height x width), and edgeseg reads "
        f"1,073,741,824; cut it into tiles"
    )
    assert is_in_the_guide(str(caught.value))


def test_an_image_that_half_of_the_memory_does_not_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png_that_claims(16_000))
    monkeypatch.setattr("edgeseg.images.sizes.find_free_memory", lambda: 4 << 30)
    with pytest.raises(SourceError, match="image file is truncated"):
        read_image(tmp_path / "a.png")
    monkeypatch.setattr("edgeseg.images.sizes.find_free_memory", lambda: 3 << 30)
    with pytest.raises(SourceError) as caught:
        read_image(tmp_path / "a.png")
    assert str(caught.value) == (
        f"{tmp_path / 'a.png'} has 16000x16000 pixels (height x width); to read it takes 2.0 GB "
        f"of memory, more than half of the 3.2 GB that are free; cut it into tiles, or make it "
        f"smaller"
    )
    assert is_in_the_guide(str(caught.value))


def test_the_first_large_image_is_told_once() -> None:
    told: list[str] = []
    teller = SizeTeller(told.append)
    for height, width in ((8000, 9000), (12_000, 20_000), (12_000, 20_001)):
        teller.see(height, width)
    says = "12000x20000 pixels (height x width) are 240 megapixels; to read such an image takes"
    assert told == [f"{says} 1.9 GB of memory"]


def test_a_tiny_tiff_of_many_bands_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", height=40_000, width=40_000, count=5,
                       dtype="uint16", tiled=True, sparse_ok=True, compress="lzw",
                       crs="EPSG:32633", transform=rasterio.Affine(2, 0, 0, 0, -2, 0)):  # fmt: skip
        pass
    assert path.stat().st_size < 2 << 20
    with pytest.raises(
        SourceError, match=r"a\.tif has 40000x40000 pixels .* edgeseg reads"
    ) as caught:
        read_frame(path, 5)
    assert is_in_the_guide(str(caught.value))
