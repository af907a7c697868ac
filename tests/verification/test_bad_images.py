"""An image that cannot be read is named and passed over, or refused with --strict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_files import Bad, classes, image, mask, told
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.images import write_mask


def save_as(mode: str) -> Callable[[], object]:
    def spoil() -> None:
        with Image.open(image()) as whole:
            whole.convert(mode).save(image(), format="TIFF" if mode == "CMYK" else None)

    return spoil


def deep() -> None:
    with Image.open(image()) as whole:
        gray = np.asarray(whole.convert("L")).astype(np.uint16) * 257
    Image.fromarray(gray).save(image())


def floating() -> None:
    with Image.open(image()) as whole:
        whole.convert("F").save(image(), format="TIFF")


def turned() -> None:
    """Stored upright, as the mask is, with a tag that says it lies on its side."""
    with Image.open(image()) as whole:
        exif = whole.getexif()
        exif[0x0112] = 6
        whole.save(image(), exif=exif)


def turned_square() -> None:
    """A tag that leaves the size as it is: it cannot be told whether the mask was drawn before."""
    with Image.open(image()) as whole:
        exif = whole.getexif()
        exif[0x0112] = 3
        whole.save(image(), exif=exif)


def broken(path: Path) -> Callable[[], object]:
    return lambda: path.write_bytes(path.read_bytes()[:300])


def other_mask(ids: np.ndarray) -> Callable[[], object]:
    return lambda: write_mask(ids.astype(np.uint8), mask())


def colored_mask() -> None:
    with Image.open(image()) as whole:
        whole.save(mask())


CAMVID = ("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
          "Pedestrian", "Bicyclist")  # fmt: skip


BAD = [
    Bad(
        name="image of zero bytes",
        spoil=lambda: image().write_bytes(b""),
        says="data/images/100.png is empty (0 bytes); restore or remove it",
    ),
    Bad(
        name="image cut off",
        spoil=broken(image()),
        says="data/images/100.png cannot be read as an image: ",
    ),
    Bad(
        name="text for an image",
        spoil=lambda: image().write_text("hello"),
        says="data/images/100.png cannot be read as an image: its format is not known",
    ),
    Bad(
        name="mask cut off",
        spoil=broken(mask()),
        says="data/masks/100.png cannot be read as an image: ",
    ),
    Bad(
        name="image without mask",
        spoil=lambda: mask().unlink(),
        says="data/images/100.png has no mask; there is no data/masks/100.png",
    ),
    Bad(
        name="mask without image",
        spoil=lambda: image().unlink(),
        says="data/masks/100.png has no image of its own in data/images",
    ),
    Bad(
        name="two images of one name",
        spoil=lambda: shutil.copy(image(), "data/images/100.bmp"),
        says="data/images/100.bmp has the same name as 100.png; keep the one that the mask is of",
    ),
    Bad(
        name="mask of another size",
        spoil=other_mask(np.zeros((3, 5))),
        says="data/masks/100.png is 3x5, but its image 100.png is 120x160 (height x width); give "
        "the image its own mask",
    ),
    Bad(
        name="mask drawn before a rotation",
        spoil=turned,
        says="data/masks/100.png is 120x160, but its image 100.png is 160x120 (height x width): "
        "the mask fits the image before its EXIF rotation; turn the mask, or remove the "
        "image's tag",
    ),
    Bad(
        name="mask in color",
        spoil=colored_mask,
        says="data/masks/100.png is painted in colors, and nothing says what they mean, ",
    ),
    Bad(
        name="mask id out of range",
        spoil=other_mask(np.full((120, 160), 77)),
        says="the mask of 100 holds the id 77, but data has 11 classes and the ignore index 255",
    ),
    Bad(
        name="image of floats",
        spoil=floating,
        says="data/images/100.png holds floating-point pixels, which have no one way to 8 bits; "
        "say with --range LOW,HIGH which values are black and white",
    ),
    Bad(
        name="gray",
        spoil=save_as("L"),
        says="--strict: image 100 had to be converted: gray",
    ),
    Bad(
        name="alpha",
        spoil=save_as("RGBA"),
        says="--strict: image 100 had to be converted: alpha",
    ),
    Bad(
        name="16-bit",
        spoil=deep,
        says="--strict: image 100 had to be converted: gray, 16-bit",
    ),
    Bad(
        name="CMYK",
        spoil=save_as("CMYK"),
        says="--strict: image 100 had to be converted: CMYK",
    ),
    Bad(
        name="palette",
        spoil=save_as("P"),
        says="--strict: image 100 had to be converted: palette",
    ),
    Bad(
        name="rotated",
        spoil=turned_square,
        says="--strict: image 100 had to be converted: rotated by its EXIF tag",
    ),
    Bad(
        name="a class that the model does not have",
        spoil=classes(*CAMVID[:10], "Unicorn"),
        says="--strict: classes of the data set that the model does not have, not counted: "
        "Unicorn; classes of the model that the data set does not have: Bicyclist",
    ),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_an_image_is_named_and_passed_over_and_strictly_refused(
    edgeseg, case: Bad, data: Path, seeded_bundle: Bundle
) -> None:
    case.spoil()
    strict = edgeseg("verify", seeded_bundle.folder, *case.args, "--strict")
    assert strict.status == 1
    assert case.says in told(strict.err)
    outcome = edgeseg("verify", seeded_bundle.folder, *case.args, "--max-skipped", "50", "--json")
    assert outcome.status == 0
    found = outcome.json
    noted = [f"{note['name']}: {note['reason']}" for note in found["skipped"] + found["converted"]]
    reason = case.says.removeprefix("--strict: image 100 had to be converted: ")
    if case.name == "a class that the model does not have":
        assert found["differences"]["data_only"] == ["Unicorn"]
    else:
        (note,) = noted
        assert reason in note
    assert found["images"] == 3 - len(found["skipped"])
