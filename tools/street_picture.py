"""Draws docs/images/street.jpg: a frame of a real road beside the overlay of the packaged demo.

python tools/street_picture.py solidWhiteRight.mp4

docs/images/README.md names the video, its author and its license.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import edgeseg
from edgeseg.cli.scripts import run_script
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.overlay import Overlay

TARGET = Path(__file__).parents[1] / "docs" / "images" / "street.jpg"
FRAME = 105
ROWS = slice(150, 480)  # without most of the sky and of the road
SIZE_WH = (720, 248)
GAP_PX = 8


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("video", type=Path)
    options = parser.parse_args()
    video = cv2.VideoCapture(str(options.video))
    video.set(cv2.CAP_PROP_POS_FRAMES, FRAME)
    read, frame = video.read()
    if not read:
        parser.error(f"{options.video} has no frame {FRAME}")
    with edgeseg.open(find_demo_bundle()) as segmenter:
        mask = segmenter.segment(frame).mask
        overlay = Overlay(Legend.of(segmenter.bundle.manifest.labels)).draw(frame, mask)
    left, right = (
        cv2.resize(picture[ROWS], SIZE_WH, interpolation=cv2.INTER_AREA)
        for picture in (frame, overlay)
    )
    gap = np.full((SIZE_WH[1], GAP_PX, 3), 255, np.uint8)
    cv2.imwrite(str(TARGET), np.hstack([left, gap, right]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"written: {TARGET}")


if __name__ == "__main__":
    run_script(main)
