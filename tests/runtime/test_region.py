"""A region of interest: the network sees it as a frame of its own, and nothing is copied."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgeseg
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError, SpecError
from edgeseg.runtime.region import read_region
from edgeseg.runtime.segmenter import Segmenter

FRAME = draw_scene(1, 3, height=96, width=128).image
ROI = (10, 20, 50, 64)
PART = FRAME[10:60, 20:84]


@pytest.mark.parametrize("tile", [False, True])
def test_a_part_is_segmented_like_a_frame_of_its_own(segmenter: Segmenter, *, tile: bool) -> None:
    mask = segmenter.segment(FRAME, roi=ROI, tile=tile).mask
    assert mask.shape == (50, 64)
    np.testing.assert_array_equal(mask, segmenter.segment(PART.copy(), tile=tile).mask)


def test_nothing_is_copied() -> None:
    part = read_region(ROI).cut(FRAME)
    assert np.shares_memory(part, FRAME)
    np.testing.assert_array_equal(part, PART)


def test_a_stream_gives_the_part_and_its_mask(segmenter: Segmenter, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), FRAME)
    (result,) = segmenter.stream(str(tmp_path / "a.png"), roi=(0, 0, 96, 64))
    np.testing.assert_array_equal(result.captured.image, FRAME[:, :64])
    assert result.captured.image.base is not None
    np.testing.assert_array_equal(result.mask, segmenter.segment(FRAME[:, :64]).mask)


def test_the_guides_example_runs(seeded_bundle: Bundle, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(with [^`]*roi=[^`]*)```", guide)
    frame = draw_scene(1, 0, height=120, width=160).image
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    for shown, here in (("street", seeded_bundle.folder), ("drive.mp4", tmp_path / "a.png")):
        assert f'"{shown}"' in code
        code = code.replace(f'"{shown}"', repr(str(here)))
    names = {"edgeseg": edgeseg, "frame": frame}
    exec(code, names)  # our own example
    assert names["mask"].shape == (60, 160)


def test_truth_is_cut_too(segmenter: Segmenter) -> None:
    with_truth = segmenter.stream("demo", roi=(100, 0, 200, 300))
    captured = next(with_truth).captured
    assert captured.truth is not None
    assert captured.truth.shape == captured.image.shape[:2] == (200, 300)
    with_truth.close()


@pytest.mark.parametrize("roi", [(0, 0, 97, 128), (90, 0, 7, 128), (0, 65, 96, 64)])
def test_a_part_beyond_the_frame(segmenter: Segmenter, roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(SourceError, match=r"roi \(.*reaches beyond a frame of 96x128 pixels"):
        segmenter.segment(FRAME, roi=roi)


def test_a_part_beyond_the_frames_of_a_stream(seeded_bundle: Bundle, segmenter: Segmenter) -> None:
    source = str(seeded_bundle.folder / "golden")
    with pytest.raises(SourceError, match="reaches beyond a frame of"):
        list(segmenter.stream(source, roi=(0, 0, 10_000, 1)))


@pytest.mark.parametrize(
    ("roi", "says"),
    [
        ((-1, 0, 5, 5), "begins at 0 or later"),
        ((0, 0, 0, 5), "at least one pixel high and wide"),
        ((0, 0, 5), "four whole numbers of pixels"),
        ((0, 0, 5, 5.5), "four whole numbers of pixels"),
        ("0000", "four whole numbers of pixels"),
    ],
)
def test_what_is_no_region(segmenter: Segmenter, roi: tuple, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        segmenter.segment(FRAME, roi=roi)
    with pytest.raises(SpecError, match=says):
        next(segmenter.stream("demo", roi=roi))
