"""A run from Python is the run of the command line: the same outputs, defaults and notes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import edgeseg as library
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import BundleError, SinkError, SourceError, SpecError
from edgeseg.images import read_mask


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), draw_scene(index, 0, height=48, width=64).image)
    return folder


def test_python_and_the_command_line_give_the_same(
    edgeseg, seeded_bundle: Bundle, frames: Path
) -> None:
    told: list[str] = []
    result = library.run(
        seeded_bundle.folder, source=str(frames), masks="python", jsonl="p.jsonl", say=told.append
    )
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", frames),
        *("--masks", "typed", "--jsonl", "t.jsonl", "--json"),
    )
    assert outcome.status == 0
    assert set(told) <= set(outcome.err.splitlines())
    assert result.summary.frames == outcome.json["frames"] == 3
    assert (result.backend, result.precision) == (outcome.json["backend"], "fp32")
    assert [path.name for path in result.written] == ["python", "p.jsonl"]
    assert result.failed_outputs == 0
    for index in range(3):
        here, there = (read_mask(Path(f"{name}/{index}.png")) for name in ("python", "typed"))
        np.testing.assert_array_equal(here, there)


def test_without_a_bundle_it_is_the_demos_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = library.run(source="demo", frames=1)
    assert result.miou is not None
    assert result.miou > 70
    assert "the packaged demo bundle" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"source": "nothing.mp4"}, SourceError, "nothing.mp4"),
        ({"source": "demo", "save": "x.txt"}, SinkError, "unknown ending '.txt'"),
        ({"source": "demo", "preview": "0.0.0.0:0"}, SinkError, "token"),
        ({"bundle": "none", "source": "demo"}, BundleError, "none"),
        ({"source": -1}, SpecError, "source is a whole number of 0 or more; got -1"),
        ({"source": "demo", "frames": 0}, SpecError, "frames is a whole number of 1 or more"),
        ({"source": "demo", "frames": "3"}, SpecError, "got '3'"),
        ({"source": "demo", "seconds": -1}, SpecError, "seconds is a number of 0 or more"),
        ({"source": "demo", "max_retries": -1}, SpecError, "max_retries"),
    ],
)
def test_what_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict, kind: type, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=says):
        library.run(**options)
    assert not list(tmp_path.iterdir())


def test_a_run_without_an_end_in_sight_takes_any_number_of_seconds(
    seeded_bundle: Bundle, frames: Path
) -> None:
    """Python's timers take no more than three centuries."""
    result = library.run(seeded_bundle.folder, source=str(frames), seconds=float("inf"))
    assert result.summary.frames == 3
