"""What a written video really holds."""

from __future__ import annotations

from pathlib import Path

import cv2


def frames_in(video: Path) -> int:
    """Those that can be read, whatever the container says."""
    capture = cv2.VideoCapture(str(video))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count
