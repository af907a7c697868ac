"""What is watched to its end, and what has none."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from clips import write_clip

from edgeseg.calibration import gather as gathering
from edgeseg.progress import Progress

FRAMES = 8


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute passes from each frame to the next."""
    ticks = itertools.count(0.0, 30.0)
    monkeypatch.setattr(gathering, "time", SimpleNamespace(monotonic=lambda: next(ticks)))


def watched(uri: str, folder: Path) -> tuple[int, list[str]]:
    """How many frames, and what was said."""
    seen: list[int] = []
    said: list[str] = []
    gathering.gather(
        uri,
        folder,
        count=2,
        seconds=None,
        progress=Progress(say=said.append, phase=lambda _name, done, *_: seen.append(done)),
    )
    return seen[-1], said


def test_a_clip_without_a_known_length_is_watched_to_its_end(tmp_path: Path) -> None:
    """As a Raspberry Pi writes it: raw H.264 tells neither times nor a count."""
    noise = np.random.default_rng(0).integers(0, 255, (FRAMES, 48, 64, 3), dtype=np.uint8)
    times = [index / 25 for index in range(FRAMES)]
    clip = write_clip(tmp_path / "pi.h264", times, images=[*noise])
    seen, said = watched(str(clip), tmp_path / "kept")
    assert seen == FRAMES
    assert not [line for line in said if "no end" in line]


def test_the_demo_is_watched_for_a_minute(tmp_path: Path) -> None:
    seen, said = watched("demo", tmp_path / "kept")
    assert seen < FRAMES
    assert said == ["demo has no end: watched for 60 s; --seconds watches longer"]
