"""A short video."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edgeseg.demo import draw_scene


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for index in range(6):
        writer.write(draw_scene(1, index, height=120, width=160).image)
    writer.release()
    return path
