"""The pixel formats that a GStreamer pipeline may give: converted by its caps, or told."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from captures import FakeCapture, in_turn

from edgeseg.errors import SourceError
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.captures.formats import read_format, to_bgr

HEIGHT, WIDTH = 6, 8
DRAWN = np.random.default_rng(3)
GRAY = DRAWN.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
BGR = DRAWN.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
BLUENESS, REDNESS = DRAWN.integers(0, 256, (2, HEIGHT // 2, WIDTH // 2), np.uint8)
TALL_BLUENESS, TALL_REDNESS = DRAWN.integers(0, 256, (2, HEIGHT, WIDTH // 2), np.uint8)
FOURTH = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)


def planes(*parts: np.ndarray) -> np.ndarray:
    """Planes one after the other, as (1.5 H, W)."""
    return np.concatenate([part.ravel() for part in parts]).reshape(HEIGHT * 3 // 2, WIDTH)


def pairs(first: str) -> np.ndarray:
    """Two bytes a pixel: its gray, and in turns the blueness and redness of two pixels."""
    colors = (TALL_BLUENESS, TALL_REDNESS) if "U" in first[:2] else (TALL_REDNESS, TALL_BLUENESS)
    color = np.stack(colors, axis=2).reshape(HEIGHT, WIDTH)
    both = (color, GRAY) if first[0] != "Y" else (GRAY, color)
    return np.stack(both, axis=2)


def by_bt601(blueness: np.ndarray, redness: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 with limited range, as its recommendation has it; colors are repeated."""

    def grow(plane: np.ndarray) -> np.ndarray:
        return np.repeat(np.repeat(plane, HEIGHT // len(plane), axis=0), 2, axis=1) - 128.0

    y, u, v = (np.maximum(GRAY, 16) - 16.0) * 255 / 219, grow(blueness), grow(redness)
    blue_part, red_part = 0.114, 0.299
    scale = 255 / 112
    blue = y + scale * (1 - blue_part) * u
    red = y + scale * (1 - red_part) * v
    green = y - (red_part * (red - y) + blue_part * (blue - y)) / (1 - red_part - blue_part)
    return np.clip(np.stack([blue, green, red], axis=2), 0, 255)


def interleave(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first, second], axis=2)


SMALL = by_bt601(BLUENESS, REDNESS)
TALL = by_bt601(TALL_BLUENESS, TALL_REDNESS)
CASES = {
    "GRAY8": (GRAY, np.stack([GRAY] * 3, axis=2)),
    "BGRx": (np.concatenate([BGR, FOURTH], axis=2), BGR),
    "BGRA": (np.concatenate([BGR, FOURTH], axis=2), BGR),
    "RGBx": (np.concatenate([BGR[:, :, ::-1], FOURTH], axis=2), BGR),
    "RGBA": (np.concatenate([BGR[:, :, ::-1], FOURTH], axis=2), BGR),
    "NV12": (planes(GRAY, interleave(BLUENESS, REDNESS)), SMALL),
    "NV21": (planes(GRAY, interleave(REDNESS, BLUENESS)), SMALL),
    "I420": (planes(GRAY, BLUENESS, REDNESS), SMALL),
    "YV12": (planes(GRAY, REDNESS, BLUENESS), SMALL),
    "YUY2": (pairs("YU"), TALL),
    "YVYU": (pairs("YV"), TALL),
    "UYVY": (pairs("UY"), TALL),
}


@pytest.mark.parametrize("form", CASES)
def test_each_format_as_its_definition_says(
    form: str, pretend: Callable[[np.ndarray], None]
) -> None:
    given, expected = CASES[form]
    pretend(given)
    pipeline = f"gstreamer:v4l2src ! video/x-raw, format=(string){form}, width=8 ! appsink drop=1"
    with open_source(pipeline) as source:
        image = next(source.frames).image
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    # OpenCV computes YUV with whole numbers of 20 bits, and rounds once.
    tolerance = 1 if expected.dtype == np.float64 else 0
    assert np.abs(image - expected.astype(np.float64)).max() <= tolerance


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], None]:
    """An OpenCV with GStreamer, whose pipelines give one picture: the wheel's has none."""

    def give(picture: np.ndarray) -> None:
        monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _backend: True)
        monkeypatch.setattr(cv2, "VideoCapture", in_turn(FakeCapture(5, picture=picture)))

    return give


@pytest.mark.parametrize(
    ("pipeline", "form"),
    [
        ("v4l2src ! video/x-raw,format=NV12 ! appsink", "NV12"),
        ("v4l2src ! video/x-raw,format=NV12 ! nvvidconv ! video/x-raw,format=BGRx ! appsink",
         "BGRx"),
        ("v4l2src ! 'video/x-raw, format=(string)YUY2' ! queue max-size-buffers=1 ! appsink",
         "YUY2"),
        ('v4l2src ! capsfilter caps="video/x-raw,format=I420" ! appsink name=out', "I420"),
        ('v4l2src ! videoconvert ! appsink caps="video/x-raw, format=GRAY8"', "GRAY8"),
        ('filesrc location="a!b,format=GRAY8" ! video/x-raw,format=NV12 ! appsink', "NV12"),
        ("v4l2src ! video/x-raw,format=NV12 ! videoconvert ! appsink", None),
        ("v4l2src ! video/x-raw,format={NV12,I420} ! appsink", None),
        ("v4l2src ! video/x-raw,width=640 ! appsink", None),
        ("filesrc location=format=NV12 ! appsink", None),
        ("v4l2src ! video/x-raw,format=NV12 ! fakesink", None),
    ],
)  # fmt: skip
def test_the_format_that_reaches_the_appsink(pipeline: str, form: str | None) -> None:
    assert read_format(pipeline) == form


def test_bgr_stays_as_it_is() -> None:
    assert to_bgr(BGR, "v4l2src ! video/x-raw,format=NV12 ! videoconvert ! appsink") is BGR


@pytest.mark.parametrize(
    ("image", "form", "says"),
    [
        (np.zeros((9, 7), np.uint8), "NV12", "of 9x7 uint8, which are not NV12 as its caps say"),
        (np.zeros((8, 8), np.uint8), "I420", "which are not I420"),
        (np.zeros((6, 8), np.uint8), "BGRx", "which are not BGRx"),
        (np.zeros((6, 7, 2), np.uint8), "YUY2", "which are not YUY2"),
        (np.zeros((6, 8), np.uint16), "GRAY16_LE", "in the format GRAY16_LE; edgeseg reads BGR, "),
        (np.zeros((6, 8), np.uint16), "GRAY8", "which are not GRAY8"),
    ],
)
def test_what_is_not_converted_is_told(image: np.ndarray, form: str, says: str) -> None:
    pipeline = f"rtspsrc user-pw=zqxj ! video/x-raw,format={form} ! appsink"
    with pytest.raises(SourceError) as refused:
        to_bgr(image, pipeline)
    told = str(refused.value)
    assert told.startswith("GStreamer rtspsrc gives frames of ")
    assert says in told
    assert "end in: videoconvert ! video/x-raw,format=BGR ! appsink drop=1" in told
    assert "zqxj" not in told
    assert "\n" not in told
