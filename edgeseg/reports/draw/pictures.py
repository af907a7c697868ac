"""Draws the pictures of one image for the report: the photo, the truth, and the models' masks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.labels import Labels, Rgb
from edgeseg.pixels import Bgr, ClassMap

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "CHANGED",
    "GAINED",
    "LOST",
    "UNJUDGED",
    "ImagePictures",
    "draw_image_and_mask",
    "draw_pictures",
]

MAX_WIDTH: Final = 480  # px

# Vermilion, blue and amber differ with every kind of color vision, and by lightness alone.
LOST: Final[Rgb] = (209, 67, 16)
GAINED: Final[Rgb] = (0, 62, 140)
CHANGED: Final[Rgb] = (240, 178, 0)
UNJUDGED: Final[Rgb] = (164, 168, 173)  # no truth

# The difference's backdrop is the photo in few light grays, which make a small file.
_GRAYS: Final = 16
_DARKEST_GRAY: Final = 196
_QUALITY: Final = 82  # of JPEG

Ids = npt.NDArray[np.intp]  # (H, W), of classes or of colors
Colors = npt.NDArray[np.uint8]  # (n, 3) or (H, W, 3), RGB


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePictures:
    """The pictures of one image: `image` is a JPEG file, the others are PNG files.

    `reference` is None if no reference was measured. `lost` and `agreement` are as in
    `edgeseg.reports.measured.ImageResult`.
    """

    name: str
    lost: float | None
    agreement: float | None
    image: bytes
    truth: bytes
    reference: bytes | None
    candidate: bytes
    difference: bytes


def draw_pictures(
    name: str,
    *,
    image: Bgr,
    truth: ClassMap,
    reference: ClassMap | None,
    candidate: ClassMap,
    labels: Labels,
    lost: float | None = None,
    agreement: float | None = None,
) -> ImagePictures:
    """Draw the pictures of an image, at most `MAX_WIDTH` pixels wide.

    `image` is uint8 BGR (H, W, 3). `truth`, `reference` and `candidate` are class ids (H, W) of
    `labels`.

    The difference is the photo in light gray, with these colors on it: `LOST` where the candidate
    alone is wrong, `GAINED` where the reference alone is wrong, `CHANGED` where both are wrong in
    different ways, and `UNJUDGED` where the truth is unknown. Without a reference, `LOST` is
    wherever the candidate is wrong.
    """
    photo = _shrink(image[:, :, ::-1])
    size = photo.size
    true, found = _pick_nearest(truth, size), _pick_nearest(candidate, size)
    expected = None if reference is None else _pick_nearest(reference, size)
    judged = (true < len(labels.classes)) & (true != labels.ignore_index)
    return ImagePictures(
        name=name,
        lost=lost,
        agreement=agreement,
        image=_to_jpeg(photo),
        truth=_encode_mask(np.where(judged, true, len(labels.classes)), labels),
        reference=None if expected is None else _encode_mask(expected, labels),
        candidate=_encode_mask(found, labels),
        difference=_encode_difference(photo, judged, true, expected, found),
    )


def draw_image_and_mask(image: Bgr, ids: ClassMap, labels: Labels) -> tuple[bytes, bytes]:
    """Draw an image, uint8 BGR (H, W, 3), as a JPEG file, and its class ids, (H, W), as a PNG file.

    Both have the same size, at most `MAX_WIDTH` pixels wide. Ids that are no class are `UNJUDGED`.
    Of an image of other than three channels, the first ones are shown.
    """
    shown = image[:, :, 2::-1] if image.shape[2] >= 3 else image[:, :, [0, 0, 0]]
    photo = _shrink(shown)
    return _to_jpeg(photo), _encode_mask(_pick_nearest(ids, photo.size), labels)


def _shrink(rgb: Colors) -> Image.Image:
    """Make a picture of an image, uint8 RGB (H, W, 3), at most `MAX_WIDTH` pixels wide.

    Pillow resizes each channel on its own. So only one channel is copied at a time.
    """
    from PIL import Image

    height, width = rgb.shape[:2]
    if width <= MAX_WIDTH:
        return Image.fromarray(np.ascontiguousarray(rgb))
    size = MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))
    channels = (np.ascontiguousarray(rgb[:, :, channel]) for channel in range(3))
    how = Image.Resampling.BILINEAR
    return Image.merge("RGB", [Image.fromarray(one).resize(size, how) for one in channels])


def _pick_nearest(mask: ClassMap, size: tuple[int, int]) -> Ids:
    """Pick the id at the middle of each pixel of a picture; `size` is width and height."""
    rows, columns = (
        ((np.arange(target) + 0.5) * source / target).astype(np.intp)
        for source, target in zip(mask.shape, size[::-1], strict=True)
    )
    picked: Ids = mask[rows[:, None], columns].astype(np.intp)
    return picked


def _encode_mask(ids: Ids, labels: Labels) -> bytes:
    """Draw each id in its color, and an id that is no class as `UNJUDGED`."""
    colors = np.array([*labels.palette, UNJUDGED], np.uint8)
    present, places = np.unique(np.minimum(ids, len(labels.classes)), return_inverse=True)
    return _to_png(places.reshape(ids.shape), colors[present])


def _encode_difference(
    photo: Image.Image,
    judged: npt.NDArray[np.bool_],
    true: Ids,
    expected: Ids | None,
    found: Ids,
) -> bytes:
    """Draw the photo in grays, and each kind of difference over it in its color."""
    right = found == true
    was_right = np.ones_like(right) if expected is None else expected == true
    places = np.asarray(photo.convert("L")).astype(np.intp) // (256 // _GRAYS)
    changes = [(was_right & ~right, LOST), (right & ~was_right, GAINED)]
    if expected is not None:
        changes.append((~right & ~was_right & (found != expected), CHANGED))
    changes.append((~judged, UNJUDGED))
    for place, (where, _) in enumerate(changes):
        places = np.where(where, _GRAYS + place, places)
    grays = np.linspace(_DARKEST_GRAY, 255, _GRAYS).astype(np.uint8)
    colors = np.array([color for _, color in changes], np.uint8)
    return _to_png(places, np.concatenate([np.repeat(grays[:, None], 3, axis=1), colors]))


def _to_png(places: Ids, colors: Colors) -> bytes:
    """Encode a picture of indexes into `colors`, as RGB if they are more than a palette holds."""
    from PIL import Image

    if len(colors) <= 256:
        picture = Image.fromarray(places.astype(np.uint8))
        picture.putpalette(colors.tobytes())
    else:
        picture = Image.fromarray(colors[places])
    return _encode(picture, "PNG", optimize=True)


def _to_jpeg(photo: Image.Image) -> bytes:
    return _encode(photo, "JPEG", quality=_QUALITY, optimize=True)


def _encode(picture: Image.Image, form: str, **settings: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **settings)
    return file.getvalue()
