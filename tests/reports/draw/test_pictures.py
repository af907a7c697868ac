from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edgeseg.labels import Labels, get_known_labels
from edgeseg.reports.draw.pictures import (
    CHANGED,
    GAINED,
    LOST,
    UNJUDGED,
    ImagePictures,
    draw_pictures,
)

LABELS = Labels(classes=("a", "b", "c"), palette=((10, 20, 30), (200, 0, 0), (0, 0, 200)))
IGNORED = LABELS.ignore_index


def drawn(
    truth: np.ndarray,
    reference: np.ndarray | None,
    candidate: np.ndarray,
    *,
    labels: Labels = LABELS,
) -> ImagePictures:
    image = np.full((*truth.shape, 3), 128, np.uint8)
    return draw_pictures(
        "one", image=image, truth=truth, reference=reference, candidate=candidate, labels=labels
    )


def opened(picture: bytes | None) -> Image.Image:
    assert picture is not None
    return Image.open(io.BytesIO(picture))


def colors(picture: bytes | None) -> list[tuple[int, ...]]:
    """Of the first row's pixels."""
    pixels = np.asarray(opened(picture).convert("RGB"))[0]
    return [tuple(pixel) for pixel in pixels.tolist()]


def row(*ids: int) -> np.ndarray:
    return np.array([ids], np.uint8)


def test_the_difference_tells_what_was_lost_gained_and_changed() -> None:
    made = drawn(row(0, 0, 0, 0, 0, IGNORED), row(0, 0, 1, 1, 1, 0), row(0, 1, 0, 2, 1, 1))
    shown = colors(made.difference)
    assert shown[1:4] == [LOST, GAINED, CHANGED]
    assert shown[5] == UNJUDGED
    for gray in (shown[0], shown[4]):  # both right, and both wrong alike
        assert len(set(gray)) == 1
        assert gray[0] > 190


def test_without_a_reference_it_tells_right_from_wrong() -> None:
    made = drawn(row(0, 0, IGNORED), None, row(0, 1, 1))
    assert made.reference is None
    shown = colors(made.difference)
    assert shown[1:] == [LOST, UNJUDGED]
    assert shown[0] not in {LOST, GAINED, CHANGED, UNJUDGED}


def test_masks_have_the_colors_of_their_classes_and_none_where_nothing_is_true() -> None:
    made = drawn(row(0, 1, 2, IGNORED), row(2, 1, 0, 0), row(1, 1, 1, 2))
    assert colors(made.truth) == [*LABELS.palette, UNJUDGED]
    assert colors(made.reference) == [LABELS.palette[n] for n in (2, 1, 0, 0)]
    assert colors(made.candidate) == [LABELS.palette[n] for n in (1, 1, 1, 2)]


@pytest.mark.parametrize(
    ("hw", "size"),
    [
        ((720, 960), (480, 360)),
        ((90, 120), (120, 90)),
        ((3, 5000), (480, 1)),
        ((1080, 608), (480, 853)),
    ],
)
def test_pictures_are_made_smaller_and_never_larger(
    hw: tuple[int, int], size: tuple[int, int]
) -> None:
    mask = np.zeros(hw, np.uint8)
    made = drawn(mask, mask, mask)
    pictures = (made.image, made.truth, made.reference, made.candidate, made.difference)
    assert {opened(picture).size for picture in pictures} == {size}
    forms = [(opened(picture).format, opened(picture).mode) for picture in pictures]
    assert forms == [("JPEG", "RGB"), *[("PNG", "P")] * 4]


def test_a_smaller_mask_holds_no_blended_class() -> None:
    random = np.random.default_rng(0)
    mask = random.integers(0, 3, (700, 1000)).astype(np.uint8)
    found = np.asarray(opened(drawn(mask, None, mask).candidate).convert("RGB"))
    assert {tuple(color) for color in np.unique(found.reshape(-1, 3), axis=0).tolist()} == set(
        LABELS.palette
    )


def test_the_photo_keeps_its_colors() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:] = (200, 100, 30)  # BGR
    mask = np.zeros((40, 40), np.uint8)
    made = draw_pictures(
        "one", image=image, truth=mask, reference=None, candidate=mask, labels=LABELS
    )
    # JPEG rounds in another color space.
    np.testing.assert_allclose(np.asarray(opened(made.image)), [[[30, 100, 200]] * 40] * 40, atol=3)


@pytest.mark.parametrize("classes", [171, 300])
def test_any_number_of_classes(classes: int) -> None:
    palette = tuple((n % 256, n // 256, 7) for n in range(classes))
    names = tuple(map(str, range(classes)))
    labels = Labels(classes=names, palette=palette, ignore_index=65535)
    mask = np.arange(classes, dtype=np.uint16)[None]
    truth = np.where(mask == 5, 65535, mask)
    made = drawn(truth, mask, mask, labels=labels)
    assert colors(made.candidate) == list(palette)
    assert colors(made.truth) == [*palette[:5], UNJUDGED, *palette[6:]]


def test_an_ignore_index_below_zero_or_of_no_class() -> None:
    truth = np.array([[0, 11, 200]], np.uint8)
    made = drawn(truth, None, row(0, 0, 0), labels=get_known_labels("camvid"))
    assert colors(made.truth)[1:] == [UNJUDGED, UNJUDGED]
