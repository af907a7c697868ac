"""The clock's time of capture, in frames of live sources and in their JSON lines."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import pytest
from captures import FakeCapture, in_turn
from outputs import LEGEND, captured, result

from edgeseg.files.signature import is_replaceable
from edgeseg.runtime.sinks.jsonl import to_line
from edgeseg.runtime.sources import open_source


def test_a_camera_says_when_a_frame_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(FakeCapture(3)))
    with open_source(0) as source:
        before = time.time()
        frames = list(itertools.islice(source.frames, 3))
        after = time.time()
    told = [frame.wall_s for frame in frames if frame.wall_s is not None]
    assert [before, *told, after] == sorted([before, *told, after])
    assert len(told) == 3
    # Both clocks are read at once, so their distance stays.
    distances = [frame.wall_s - frame.at for frame in frames if frame.wall_s is not None]
    assert max(distances) - min(distances) < 0.1


def test_drawn_and_read_frames_have_none(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), captured(0).image)
    for uri in ("demo", str(tmp_path / "a.png")):
        with open_source(uri) as source:
            assert next(source.frames).wall_s is None


@pytest.mark.parametrize("milliseconds", [0, 5, 999])
def test_a_line_in_iso_8601(milliseconds: int, tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 12, 30, 59, 1000 * milliseconds + 400, tzinfo=timezone.utc)
    frame = replace(captured(4), wall_s=at.timestamp())
    line = to_line(replace(result(4), captured=frame), LEGEND)
    written = json.loads(line)
    assert written["wall"] == f"2026-03-01T12:30:59.{milliseconds:03d}Z"
    (tmp_path / "o.jsonl").write_text(line + "\n")
    assert is_replaceable(tmp_path / "o.jsonl")  # a further run knows it for its own


def test_a_line_of_a_file_has_no_clock() -> None:
    assert list(json.loads(to_line(result(4), LEGEND))) == [
        *("index", "name", "time_s", "shares"),
    ]
