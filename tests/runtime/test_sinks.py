from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.demo import scene
from edgeseg.errors import SinkError
from edgeseg.labels import known_labels
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.sinks.outputs import Outputs, open_outputs
from edgeseg.runtime.sources import Captured

LABELS = known_labels("camvid")
SIZE = (48, 64)


def captured(index: int, size: tuple[int, int] = SIZE) -> Captured:
    return Captured(
        index=index,
        name=f"{index:06d}",
        time_s=index / 10,
        at=time.perf_counter(),
        image=scene(1, index, height=size[0], width=size[1]).image,
    )


def mask(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 11, size, dtype=np.uint8)


def everything(tmp_path: Path) -> Outputs:
    return Outputs(
        save=tmp_path / "out" / "drive.mp4",
        masks=tmp_path / "out" / "masks",
        jsonl=str(tmp_path / "out" / "drive.jsonl"),
    )


def test_a_run_that_succeeds_leaves_whole_outputs_and_nothing_else(tmp_path: Path) -> None:
    with open_outputs(everything(tmp_path), LABELS, fps=10) as sinks:
        for index in range(5):
            for sink in sinks:
                sink.write(captured(index), mask(index))
        assert not (tmp_path / "out" / "drive.mp4").exists()
    folder = tmp_path / "out"
    assert sorted(p.name for p in folder.iterdir()) == ["drive.jsonl", "drive.mp4", "masks"]

    video = cv2.VideoCapture(str(folder / "drive.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    assert video.get(cv2.CAP_PROP_FPS) == 10
    shown = video.read()[1]
    video.release()
    drawn = Overlay(LABELS).draw(captured(0).image, mask(0))
    assert shown.shape == drawn.shape

    assert len(list((folder / "masks").iterdir())) == 5
    with Image.open(folder / "masks" / "000003.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), mask(3))

    lines = [json.loads(line) for line in (folder / "drive.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(5))
    assert lines[2]["time_s"] == 0.2
    for index, line in enumerate(lines):
        assert sum(line["shares"].values()) == pytest.approx(1, abs=1e-5)
        assert line["shares"]["Car"] == pytest.approx((mask(index) == 8).mean(), abs=1e-6)


def test_a_video_shows_the_overlay_in_its_colours(tmp_path: Path) -> None:
    pavement = np.full(SIZE, 4, np.uint8)  # (60, 40, 222): no two channels alike
    with open_outputs(Outputs(save=tmp_path / "v.mp4"), LABELS, fps=10) as (sink,):
        sink.write(captured(0), pavement)
    video = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    shown = video.read()[1]
    video.release()
    drawn = Overlay(LABELS).draw(captured(0).image, pavement)
    np.testing.assert_allclose(shown.mean(axis=(0, 1)), drawn.mean(axis=(0, 1)), atol=6)


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        open_outputs(everything(tmp_path), LABELS, fps=10) as sinks,
    ):
        for sink in sinks:
            sink.write(captured(0), mask(0))
        raise ZeroDivisionError
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_that_fails_keeps_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    for fails in (False, True):
        try:
            with open_outputs(everything(tmp_path), LABELS, fps=10) as sinks:
                for sink in sinks:
                    sink.write(captured(0), mask(0))
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["drive.jsonl", "drive.mp4", "masks"]
    assert (tmp_path / "out" / "masks" / "000000.png").exists()


def test_one_picture(tmp_path: Path) -> None:
    with open_outputs(Outputs(save=tmp_path / "p.png"), LABELS, fps=10) as (sink,):
        sink.write(captured(0), mask(0))
    with Image.open(tmp_path / "p.png") as image:
        expected = Overlay(LABELS).draw(captured(0).image, mask(0))
        np.testing.assert_array_equal(np.asarray(image)[:, :, ::-1], expected)
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_a_picture_takes_one_frame(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkError, match="takes one frame"),
        open_outputs(Outputs(save=tmp_path / "p.png"), LABELS, fps=10) as (sink,),
    ):
        sink.write(captured(0), mask(0))
        sink.write(captured(1), mask(1))
    assert list(tmp_path.iterdir()) == []


def test_a_video_takes_one_size(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkError, match="it is 32x32, the frames before are 64x48"),
        open_outputs(Outputs(save=tmp_path / "v.mp4"), LABELS, fps=10) as (sink,),
    ):
        sink.write(captured(0), mask(0))
        sink.write(captured(1, (32, 32)), mask(1, (32, 32)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["v.xyz", "v"])
def test_an_unknown_ending_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(SinkError, match="unknown ending"),
        open_outputs(Outputs(save=tmp_path / name), LABELS, fps=10),
    ):
        pass


@pytest.mark.parametrize("field", ["save", "masks", "jsonl"])
def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path, field: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x.mp4"
    outputs = Outputs(**{field: str(path) if field == "jsonl" else path})
    with pytest.raises(SinkError, match=r"x\.mp4"), open_outputs(outputs, LABELS, fps=10):
        pass


def test_the_overlay_is_half_frame_and_half_colour() -> None:
    frame, ids = captured(0).image, mask(0)
    expected = (frame >> 1) + (np.array(LABELS.palette, np.uint8)[ids][:, :, ::-1] >> 1)
    drawn = Overlay(LABELS).draw(frame, ids)
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(frame, captured(0).image)  # and the frame is as it was
