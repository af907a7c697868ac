"""A recording whose frames change their size, or pause for long, goes on in further files."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from outputs import LEGEND, Opened, result

from edgeseg.bundle.store import Bundle
from edgeseg.files.locks import hold_lock, name_lock_beside
from edgeseg.files.signature import SIGNATURE
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.masks import MaskFiles
from edgeseg.runtime.sinks.outputs import Outputs

DAY, NIGHT = (96, 128), (63, 85)  # an odd size, whose last row and column a video repeats


def frame(index: int, size: tuple[int, int], *, at_s: float | None = None) -> Result:
    one = result(index, size, ids=np.full(size, index % 11, np.uint8))
    at_s = index / 10 if at_s is None else at_s
    return replace(one, captured=replace(one.captured, time_s=at_s))


def read(video: Path) -> tuple[list[float], list[np.ndarray]]:
    """Each frame's own time, not counted from the first, and its BGR picture."""
    with av.open(str(video)) as container:
        found = list(container.decode(video=0))
    return [one.time for one in found], [one.to_ndarray(format="bgr24") for one in found]


def drawn(one: Result, height: int, width: int) -> np.ndarray:
    image = Overlay(LEGEND).draw(one.captured.image, one.mask)
    return np.pad(
        image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)), mode="edge"
    )


def record(folder: Path, frames: list[Result], *, live: bool = True) -> tuple[list[str], list[str]]:
    """The names of the files that were written, and what was said."""
    opened = Opened(Outputs(save=folder / "x.mp4"), live=live)
    with opened as fan:
        for one in frames:
            fan.write(one)
    assert fan.failed == 0, opened.said
    return [path.name for path in fan.written], opened.said


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_each_segment_has_its_frames_at_their_sizes_and_times(
    tmp_path: Path, *, live: bool
) -> None:
    """The rate changes, too: by night frames come half as often."""
    sizes = [DAY] * 4 + [NIGHT] * 3 + [DAY] * 2
    times = [0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.1]
    frames = [
        frame(i, size, at_s=at) for i, (size, at) in enumerate(zip(sizes, times, strict=True))
    ]
    written, said = record(tmp_path, frames, live=live)
    assert written == ["x.mp4", "x.002.mp4", "x.003.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)
    for name, part, hw in (
        ("x.mp4", slice(0, 4), (96, 128)),
        ("x.002.mp4", slice(4, 7), (64, 86)),
        ("x.003.mp4", slice(7, 9), (96, 128)),
    ):
        shown_s, images = read(tmp_path / name)
        begins_s = times[part][0]
        assert shown_s == pytest.approx([at - begins_s for at in times[part]], abs=1e-4)
        assert {image.shape[:2] for image in images} == {hw}
        for image, one in zip(images, frames[part], strict=True):
            wanted = drawn(one, *hw)
            assert np.abs(image.astype(float) - wanted).mean() < 6  # H.264 with halved color
        with av.open(str(tmp_path / name)) as container:
            assert container.metadata["comment"] == SIGNATURE
    first = said[0].partition(f"{tmp_path}/")[2]
    assert first == (
        "x.mp4 goes on as x.002.mp4 from frame 000004 on, 0.400 s after the first: it is 63x85 "
        "(height x width), the frames before are 96x128"
    )
    assert len(said) == 2


def test_a_camera_that_was_away_for_an_hour_is_shown_so(tmp_path: Path) -> None:
    """The picture stands for an hour, and each frame keeps its own time."""
    times = [0.0, 0.1, 3600.0, 3600.0, 3600.5]
    record(tmp_path, [frame(index, DAY, at_s=at) for index, at in enumerate(times)])
    shown_s, images = read(tmp_path / "x.mp4")
    assert shown_s == pytest.approx(times, abs=1e-4)
    assert all(before < after for before, after in pairwise(shown_s))
    assert len(images) == 5
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert container.duration / av.time_base == pytest.approx(3600.6, abs=0.01)


def test_a_day_away_begins_a_segment(tmp_path: Path) -> None:
    times = [0.0, 0.1, 86_400.0, 86_400.1]
    frames = [frame(index, DAY, at_s=at) for index, at in enumerate(times)]
    written, _ = record(tmp_path, frames)
    assert written == ["x.mp4", "x.002.mp4"]
    for name in written:
        assert read(tmp_path / name)[0] == pytest.approx([0, 0.1], abs=1e-4)


def test_only_what_edgeseg_wrote_is_replaced(tmp_path: Path) -> None:
    """Of an earlier run, of somebody else, of a run at work, of a killed one, and free."""
    twice = [frame(0, DAY), frame(1, NIGHT), frame(2, DAY)]
    record(tmp_path, [*twice, frame(3, NIGHT), frame(4, DAY)])
    before = {number: (tmp_path / f"x.00{number}.mp4").read_bytes() for number in (2, 5)}
    (tmp_path / "x.003.mp4").write_bytes(b"mine")
    (tmp_path / "x.004.partial.mp4").write_bytes(before[2])
    with hold_lock(name_lock_beside(tmp_path / "x.002.mp4"), "x.002.mp4"):
        written, said = record(tmp_path, twice)
    assert written == ["x.mp4", "x.004.mp4", "x.005.mp4"]
    assert (tmp_path / "x.003.mp4").read_bytes() == b"mine"
    assert (tmp_path / "x.002.mp4").read_bytes() == before[2]
    assert (tmp_path / "x.004.partial-1.mp4").read_bytes() == before[2]
    assert len(read(tmp_path / "x.005.mp4")[0]) == 1
    assert f"what a killed run left is kept: {tmp_path / 'x.004.partial-1.mp4'}" in said
    assert said[-1] == "of an earlier run, kept beside the new: x.002.mp4, x.004.partial-1.mp4"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_what_a_run_leaves_that_breaks_off(tmp_path: Path, *, live: bool) -> None:
    """Of a file nothing, and an earlier recording stays; of a camera all segments."""
    record(tmp_path, [frame(0, DAY)])
    before = (tmp_path / "x.mp4").read_bytes()
    with (
        pytest.raises(ZeroDivisionError),
        Opened(Outputs(save=tmp_path / "x.mp4"), live=live) as fan,
    ):
        fan.write(frame(0, NIGHT))
        fan.write(frame(1, DAY))
        raise ZeroDivisionError
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == (["x.002.mp4", "x.mp4"] if live else ["x.mp4"])
    assert ((tmp_path / "x.mp4").read_bytes() == before) is not live
    assert [path.name for path in fan.written] == (["x.mp4", "x.002.mp4"] if live else [])


def test_a_name_that_is_taken_meanwhile_costs_no_segment(tmp_path: Path) -> None:
    opened = Opened(Outputs(save=tmp_path / "x.mp4"), live=True)
    with opened as fan:
        fan.write(frame(0, DAY))
        fan.write(frame(1, NIGHT))
        (tmp_path / "x.mp4").write_text("mine")
    assert fan.failed == 1
    assert opened.said[-1].endswith(f"the new one is kept as {tmp_path / 'x.partial.mp4'}")
    assert (tmp_path / "x.mp4").read_text() == "mine"
    assert len(read(tmp_path / "x.partial.mp4")[0]) == len(read(tmp_path / "x.002.mp4")[0]) == 1


def test_the_other_outputs_go_on(tmp_path: Path) -> None:
    outputs = Outputs(
        save=tmp_path / "x.mp4",
        overlays=tmp_path / "overlays",
        masks=MaskFiles(tmp_path / "masks"),
        jsonl=str(tmp_path / "x.jsonl"),
    )
    with Opened(outputs, live=True) as fan:
        for one in (frame(0, DAY), frame(1, NIGHT), frame(2, DAY)):
            fan.write(one)
    for folder in ("overlays", "masks"):
        shapes = [
            cv2.imread(str(path)).shape[:2] for path in sorted((tmp_path / folder).glob("*.png"))
        ]
        assert shapes == [DAY, NIGHT, DAY]
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == 3
    assert [path.name for path in fan.written] == [
        "x.mp4", "x.002.mp4", "x.003.mp4", "overlays", "masks", "x.jsonl",
    ]  # fmt: skip


def test_a_segment_that_is_read_is_not_replaced(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    record(tmp_path, [frame(0, DAY), frame(1, NIGHT)])
    before = (tmp_path / "x.002.mp4").read_bytes()
    command = ("run", seeded_bundle.folder, "--source", "x.002.mp4", "--save")
    outcome = edgeseg(*command, "x.mp4")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "x.002.mp4 is read, and x.mp4 goes on in such a file" in outcome.err
    assert (tmp_path / "x.002.mp4").read_bytes() == before
    assert edgeseg(*command, "y.mp4").status == 0
