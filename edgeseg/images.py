"""Reads still images and masks. Video and cameras are the runtime's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.files.whole import written_whole
from edgeseg.labels import Rgb
from edgeseg.pixels import Bgr, ClassMap

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = [
    "CONVERSIONS",
    "IMAGE_SUFFIXES",
    "ROTATED",
    "files_in",
    "read_converted",
    "read_image",
    "read_mask",
    "read_painted_mask",
    "write_image",
    "write_mask",
]

IMAGE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

ROTATED: Final = "rotated by its EXIF tag"
# How an image may have to be changed to become 8-bit BGR, in the order in which it is told.
CONVERSIONS: Final = ("gray", "alpha", "16-bit", "CMYK", "palette", ROTATED)

# Tags of EXIF and of TIFF.
_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_ORIENTATION: Final = 274

_HIGHEST_ID: Final = 65535

# Pillow's modes that can become 8-bit RGB in more than one way.
_FOREIGN: Final = {"F": "floating-point", "LAB": "CIELAB"}


def files_in(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """A folder's files with one of the endings, in order of their names.

    Hidden ones are left out: they are no pictures (macOS puts a ._NAME beside each NAME).
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def read_image(path: Path) -> Bgr:
    """An image as a camera would deliver it, (H, W, 3) uint8 BGR, turned upright by its EXIF tag.

    Decoded by Pillow, as Hugging Face does, so that accuracy does not depend on which OpenCV is
    installed.

    Raises:
        SourceError: missing, empty, damaged, not an image, or of no known scale to 8 bits.
    """
    return read_converted(path)[0]


def read_converted(path: Path) -> tuple[Bgr, tuple[str, ...]]:
    """The image as `read_image` has it, and which of `CONVERSIONS` that took.

    Alpha is dropped, not blended; of 16 bits the upper 8 are kept.

    Raises:
        SourceError: see `read_image`.
    """
    found = _decode(path)
    return _to_bgr(found, path), _conversions(found)


def read_mask(path: Path) -> ClassMap:
    """Class ids from a gray or palette image, (H, W), turned upright by its EXIF tag.

    A palette's index is the id, whatever its colors. 1-bit images hold the ids 0 and 1.

    Raises:
        SourceError: missing, empty, damaged, or an image that cannot hold class ids.
    """
    return read_painted_mask(path)[0]


def read_painted_mask(path: Path) -> tuple[ClassMap, Mapping[int, Rgb]]:
    """The ids as `read_mask` has them, and the color of each id in it, if it has a palette.

    Raises:
        SourceError: see `read_mask`.
    """
    found = _decode(path)
    fault = _no_mask(found)
    if fault:
        raise SourceError(f"{path} {fault}")
    mask = np.asarray(found.image)
    highest = int(mask.max(initial=0))
    if highest > _HIGHEST_ID or mask.min(initial=0) < 0:
        raise SourceError(f"{path} holds ids outside 0 to {_HIGHEST_ID}; is it a mask?")
    return mask.astype(np.uint8 if highest <= 255 else np.uint16), _colors(found.image, mask)


def _colors(image: Image.Image, mask: ClassMap) -> Mapping[int, Rgb]:
    """Of each id in a mask, where the image has a palette."""
    if image.mode != "P":
        return {}
    palette = image.getpalette() or []
    return {
        own: (palette[3 * own], palette[3 * own + 1], palette[3 * own + 2])
        for own in np.flatnonzero(np.bincount(mask.ravel())).tolist()
        if 3 * own + 2 < len(palette)
    }


def write_image(image: Bgr, path: Path) -> None:
    """8-bit BGR pixels, (H, W, 3), as a PNG. The whole file or none.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image

    with written_whole(path) as partial:
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        Image.fromarray(rgb).save(partial, format="PNG", compress_level=1)


def write_mask(
    mask: ClassMap,
    path: Path,
    *,
    palette: Sequence[Rgb] | None = None,
    software: str | None = None,
) -> None:
    """Class ids as a PNG: mode L up to 256 classes, I;16 above. The whole file or none.

    With a `palette`, up to 256 classes are mode P: viewers show the colors, a pixel is still an id.
    `software` is kept in the file as the name of what wrote it.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    image = Image.fromarray(mask)
    if palette is not None and mask.dtype == np.uint8:
        # All 256 entries: with fewer, Pillow packs several ids into a byte.
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(palette)] = palette[:256]
        image.putpalette(colors.tobytes())
    about = PngInfo()
    if software is not None:
        about.add_text("Software", software)
    with written_whole(path) as partial:
        # Level 1: a third of the time of the default, for files a tenth larger.
        image.save(partial, format="PNG", compress_level=1, pnginfo=about)


class _Decoded(NamedTuple):
    """An image, upright, and what its file told; `raw` is how a pixel is stored, as Pillow says."""

    image: Image.Image
    format: str | None
    raw: str
    turned: bool


def _decode(path: Path) -> _Decoded:
    """Whatever Pillow raises is one error: on damaged files its readers let any kind through."""
    from PIL import Image, UnidentifiedImageError

    try:
        # Not by its path: Pillow 11.3 to 13.0 then map TIFFs into memory and scramble turned ones.
        with path.open("rb") as file, _opened(file) as image:
            raw = _raw_mode(image)
            misread = _is_misread(image, raw)
            turned = image.getexif().get(_ORIENTATION) in range(2, 9)
            found = _Decoded(_upright(image), image.format, raw, turned)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty (0 bytes); restore or remove it") from None
        raise SourceError(f"{path} cannot be read as an image: its format is not known") from None
    except Image.DecompressionBombError:
        raise SourceError(
            f"{path} has more pixels than the {2 * (Image.MAX_IMAGE_PIXELS or 0):,} that Pillow "
            f"reads; cut it into tiles, or make it smaller"
        ) from None
    except Exception as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise SourceError(f"{path} cannot be read as an image: {reason}") from None
    if misread:
        raise SourceError(
            f"{path} is a 16-bit TIFF of a kind that Pillow misreads (white is 0, or the channels "
            f"are stored apart); save it as 8-bit RGB"
        )
    return found


def _opened(file: BinaryIO) -> ImageFile.ImageFile:
    """Without Pillow's warning, from half of its limit on: how large an image is, others tell."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Before it is decoded: afterwards Pillow has forgotten it."""
    args: Any = image.tile[0][3] if image.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _is_misread(image: ImageFile.ImageFile, raw: str) -> bool:
    """TIFFs that Pillow 9.3 to 13.0 takes without a word and gives other pixels for.

    16 bits in planes are read as if they were 8, and 16-bit gray where 0 is white stays negative.
    """
    tags = getattr(image, "tag_v2", {})
    return max(tags.get(_BITS, (8,))) > 8 and (";" not in raw or tags.get(_PHOTOMETRIC) == 0)


def _upright(image: ImageFile.ImageFile) -> Image.Image:
    """Decoded and turned by its EXIF tag."""
    from PIL import ImageOps

    # Pillow turns a TIFF as it decodes it; exif_transpose before 10.1 would turn it again.
    return image.copy() if image.format == "TIFF" else ImageOps.exif_transpose(image)


def _to_bgr(found: _Decoded, path: Path) -> Bgr:
    """A decoded image as (H, W, 3) uint8 BGR."""
    image = found.image
    if image.mode in _FOREIGN:
        raise SourceError(
            f"{path} holds {_FOREIGN[image.mode]} pixels, which have no one way to 8 bits; save it "
            f"as 8-bit RGB"
        )
    if _is_deep_gray(image):  # Pillow would clip it to 255, not scale it
        gray = _upper_bits(np.asarray(image), 12 if found.raw == "I;12" else 16, path)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode == "P":
        image = image.convert("RGBA")  # straight to RGB, Pillow warns where colors are transparent
    return np.asarray(image.convert("RGB"))[:, :, ::-1].copy()


def _is_deep_gray(image: Image.Image) -> bool:
    """16 bits a pixel and no color: I;16, or I in Pillows older than 10.3 and in TIFFs."""
    return image.mode.startswith("I")


def _upper_bits(values: npt.NDArray[Any], bits: int, path: Path) -> npt.NDArray[np.uint8]:
    """The upper 8 of a gray image's bits, (H, W); values that would make nonsense are refused."""
    full, highest = (1 << bits) - 1, int(values.max(initial=0))
    if values.min(initial=0) < 0 or highest > full:
        raise SourceError(
            f"{path} holds gray values outside 0 to {full}, whose scale to 8 bits is not known; "
            f"save it as 8-bit"
        )
    shift = bits - 8
    if 0 < highest < 1 << shift:
        raise SourceError(
            f"{path} holds gray values up to {highest} of {full} and would be black in 8 bits; "
            f"scale them, or save it as 8-bit"
        )
    return (values >> shift).astype(np.uint8)


def _conversions(found: _Decoded) -> tuple[str, ...]:
    """Which of `CONVERSIONS` a decoded image takes."""
    image, raw = found.image, found.raw
    deep = ";16" in raw and not raw.startswith("BGR")  # BGR;16 is a BMP's 16 bits for all three
    taken = {
        # LA;16B is decoded as RGBA.
        "gray": _is_deep_gray(image) or image.mode in {"1", "L", "LA"} or raw == "LA;16B",
        "alpha": image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info,
        "16-bit": _is_deep_gray(image) or deep,
        "CMYK": image.mode == "CMYK",
        "palette": image.mode in {"P", "PA"},
        ROTATED: found.turned,
    }
    return tuple(name for name in CONVERSIONS if taken[name])


def _no_mask(found: _Decoded) -> str | None:
    """Why a decoded image cannot hold class ids, if so."""
    mode = found.image.mode
    if mode not in {"1", "L", "P"} and not _is_deep_gray(found.image):
        return f"is a {mode} image; a mask holds one class id a pixel (mode L, P, I;16 or 1)"
    if found.format in {"JPEG", "MPO"}:
        return "is a JPEG, whose compression changes class ids; make the mask anew, as a PNG"
    if found.raw in {"L;2", "L;4"}:
        return (
            "has 2 or 4 bits a pixel, which mean shades of gray up to white and not class ids; "
            "write the ids as an 8-bit PNG"
        )
    return None
