"""Pictures as phones, cameras and programs write them, of which each has its trap."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from guide import is_in_the_guide
from PIL import Image, ImageCms
from rasters import Write, as_bytes

from edgeseg.errors import SourceError
from edgeseg.images import FIRST_FRAME, ROTATED, list_files, read_and_convert, read_image

# Whole blocks of every codec, so that next to nothing is lost; brighter than what is beside it.
SHOWN = np.kron(
    np.random.default_rng(0).integers(100, 200, (2, 3, 3), np.uint8), np.ones((32, 32, 1), np.uint8)
)
BESIDE = np.zeros_like(SHOWN)


@dataclass(frozen=True, kw_only=True)
class Still:
    name: str
    file: str
    write: Write
    conversions: tuple[str, ...] = ()
    within: int = 0  # levels, for what is packed with loss


def save(*frames: np.ndarray, **options: object) -> Write:
    first, *rest = map(Image.fromarray, frames)
    more = {"save_all": True, "append_images": rest} if rest else {}
    return lambda path: first.save(path, **more, **options)


def save_heic(*frames: np.ndarray, orientation: int = 1) -> Write:
    def write(path: Path) -> None:
        from pillow_heif import register_heif_opener

        register_heif_opener()
        exif = Image.Exif()
        exif[274] = orientation
        save(*frames, quality=-1, chroma=444, exif=exif.tobytes())(path)

    return write


def save_pyramid(path: Path) -> None:
    """A TIFF whose second page is a smaller copy of the first, as geographic ones have them."""
    from PIL import TiffImagePlugin

    with TiffImagePlugin.AppendingTiffWriter(str(path), new=True) as file:
        Image.fromarray(SHOWN).save(file, format="TIFF")
        file.newFrame()
        Image.fromarray(SHOWN[::2, ::2]).save(file, format="TIFF", tiffinfo={254: 1})


ORIENTED = Image.Exif()
ORIENTED[274] = 6
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
STILLS = [
    Still(name="progressive", file="a.jpg", within=2,
          write=save(SHOWN, quality=100, subsampling=0, progressive=True)),
    Still(name="with a color profile", file="a.jpg", within=2,
          write=save(SHOWN, quality=100, subsampling=0, icc_profile=PROFILE)),
    Still(name="a phone's, with a second picture", file="a.jpg", within=2,
          write=save(SHOWN, BESIDE, format="MPO", quality=100, subsampling=0)),
    Still(name="animated", file="a.png", write=save(SHOWN, BESIDE), conversions=(FIRST_FRAME,)),
    Still(name="animated", file="a.webp", write=save(SHOWN, BESIDE, lossless=True),
          conversions=(FIRST_FRAME,)),
    Still(name="one frame", file="a.webp", write=save(SHOWN, lossless=True)),
    Still(name="an animated GIF under another name", file="a.png", within=1,
          write=save(SHOWN, BESIDE, format="GIF"), conversions=("palette", FIRST_FRAME)),
    Still(name="pages", file="a.tif", write=save(SHOWN, BESIDE), conversions=(FIRST_FRAME,)),
    Still(name="a pyramid", file="a.tif", write=save_pyramid),
    Still(name="HEIC", file="a.heic", write=save_heic(SHOWN), within=2),
    Still(name="HEIC", file="a.HEIF", write=save_heic(SHOWN), within=2),
    Still(name="several HEIC, of which the first is the main one", file="a.heic", within=2,
          write=save_heic(SHOWN, BESIDE)),
    Still(name="AVIF", file="a.avif", within=2,
          write=save(SHOWN, quality=100, subsampling="4:4:4")),
    Still(name="animated", file="a.avif", within=2, conversions=(FIRST_FRAME,),
          write=save(SHOWN, BESIDE, quality=100, subsampling="4:4:4")),
]  # fmt: skip


@pytest.mark.parametrize("still", STILLS, ids=lambda still: f"{still.name} in {still.file}")
def test_the_first_picture_is_read(still: Still, tmp_path: Path) -> None:
    still.write(tmp_path / still.file)
    image, conversions = read_and_convert(tmp_path / still.file)
    np.testing.assert_allclose(image[:, :, ::-1], SHOWN, atol=still.within)
    assert conversions == still.conversions
    assert list_files(tmp_path) == [tmp_path / still.file]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_phone_image_is_turned_once(orientation: int, tmp_path: Path) -> None:
    """HEIC and AVIF turn the picture themselves, and have the tag beside it."""
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(SHOWN).save(tmp_path / "a.png", exif=exif)
    expected, conversions = read_and_convert(tmp_path / "a.png")
    save_heic(SHOWN, orientation=orientation)(tmp_path / "a.heic")
    np.testing.assert_allclose(read_image(tmp_path / "a.heic"), expected, atol=2)
    save(SHOWN, quality=100, subsampling="4:4:4", exif=exif)(tmp_path / "a.avif")
    image, said = read_and_convert(tmp_path / "a.avif")
    np.testing.assert_allclose(image, expected, atol=2)
    assert said == conversions == (() if orientation == 1 else (ROTATED,))


def test_a_heic_without_its_reader_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_heic(SHOWN)(tmp_path / "a.heic")
    Image.init()  # else the readers that Pillow loads meanwhile would go with the copies
    for registry in (Image.ID, Image.OPEN):
        monkeypatch.setattr(Image, "ID" if registry is Image.ID else "OPEN", registry.copy())
    Image.ID.remove("HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(SourceError) as caught:
        read_image(tmp_path / "a.heic")
    assert str(caught.value) == (
        f"{tmp_path / 'a.heic'} is HEIC; to read it, run: pip install pillow-heif"
    )
    assert is_in_the_guide(str(caught.value))


def test_a_damaged_avif_is_refused(tmp_path: Path) -> None:
    as_bytes(b"\0\0\0\x1cftypavif" + bytes(16))(tmp_path / "a.avif")
    with pytest.raises(SourceError, match=r"a\.avif "):
        read_image(tmp_path / "a.avif")
