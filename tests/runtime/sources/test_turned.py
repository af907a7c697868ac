"""Clips and pictures that are to be shown turned arrive upright, with every OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import turn, write_clip
from PIL import Image

from edgeseg.runtime.sources import open_source

pytestmark = pytest.mark.usefixtures("reader")

# Red above green, left of blue: every turn shows.
UPRIGHT = np.zeros((64, 48, 3), np.uint8)
UPRIGHT[:32, :, 2] = 200
UPRIGHT[32:, :24, 1] = 200
UPRIGHT[32:, 24:, 0] = 200
# How a camera that lies stores it, so that a turn by so many degrees clockwise shows it upright.
STORED = {
    90: np.rot90(UPRIGHT),
    180: np.rot90(UPRIGHT, 2),
    270: np.rot90(UPRIGHT, 3),
}
EXIF_ORIENTATION = {90: 6, 180: 3, 270: 8}


def is_upright(image: np.ndarray) -> bool:
    """But for what coding changes at the edges."""
    return image.shape == UPRIGHT.shape and bool(np.abs(image.astype(int) - UPRIGHT).mean() < 12)


@pytest.mark.parametrize("clockwise", STORED)
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_a_phones_clip(tmp_path: Path, ending: str, clockwise: int) -> None:
    stored = np.ascontiguousarray(STORED[clockwise])
    clip = turn(write_clip(tmp_path / f"clip.{ending}", [0, 0.1], images=[stored] * 2), clockwise)
    with open_source(str(clip)) as source:
        frames = [captured.image for captured in source.frames]
    assert len(frames) == 2
    assert all(map(is_upright, frames))


@pytest.mark.skipif(cv2.__version__ == "4.6.0", reason="it needs no other to tell it backwards")
@pytest.mark.parametrize("clockwise", STORED)
def test_an_opencv_that_tells_the_angle_backwards(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    clockwise: int,
) -> None:
    """As OpenCV 4.6.0 does, which Debian 12 has; test_opencv_versions.py tries the real one."""
    stored = np.ascontiguousarray(STORED[clockwise])
    clip = turn(write_clip(tmp_path / "clip.mp4", [0], images=[stored]), -clockwise % 360)
    monkeypatch.setattr(cv2, "__version__", "4.6.0")
    request.getfixturevalue("by_opencv")
    with open_source(str(clip)) as source:
        (captured,) = source.frames
    assert is_upright(captured.image)


@pytest.mark.parametrize("clockwise", STORED)
def test_a_phones_picture(tmp_path: Path, clockwise: int) -> None:
    exif = Image.Exif()
    exif[274] = EXIF_ORIENTATION[clockwise]
    stored = Image.fromarray(np.ascontiguousarray(STORED[clockwise][:, :, ::-1]))
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    with open_source(str(tmp_path)) as source:
        (captured,) = source.frames
    assert is_upright(captured.image)
