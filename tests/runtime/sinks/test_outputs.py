from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from outputs import LABELS, LEGEND, SIZE, Opened, captured, everything, mask, result
from PIL import Image
from videos import frames_in

from edgeseg.labels import Labels
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.sinks.outputs import Outputs
from edgeseg.runtime.sinks.window import explain_no_window


def test_a_run_that_succeeds_leaves_whole_outputs_and_nothing_else(tmp_path: Path) -> None:
    with Opened(everything(tmp_path)) as fan:
        for index in range(5):
            fan.write(result(index))
        assert not (tmp_path / "out" / "drive.mp4").exists()
    folder = tmp_path / "out"
    assert sorted(p.name for p in folder.iterdir()) == ["drive.jsonl", "drive.mp4", "masks"]

    video = cv2.VideoCapture(str(folder / "drive.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    assert video.get(cv2.CAP_PROP_FPS) == 10
    shown = video.read()[1]
    video.release()
    drawn = Overlay(LEGEND).draw(captured(0).image, mask(0))
    assert shown.shape == drawn.shape

    assert len(list((folder / "masks").glob("*.png"))) == 5
    with Image.open(folder / "masks" / "000003.png") as image:
        np.testing.assert_array_equal(np.asarray(image), mask(3))

    lines = [json.loads(line) for line in (folder / "drive.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(5))
    assert lines[2]["time_s"] == 0.2
    for index, line in enumerate(lines):
        assert sum(line["shares"].values()) == pytest.approx(1, abs=1e-5)
        assert line["shares"]["Car"] == pytest.approx((mask(index) == 8).mean(), abs=1e-6)


def test_a_video_shows_the_overlay_in_its_colors(tmp_path: Path) -> None:
    pavement = np.full(SIZE, 4, np.uint8)  # (60, 40, 222): no two channels alike
    with Opened(Outputs(save=tmp_path / "v.mp4")) as fan:
        fan.write(result(0, ids=pavement))
    video = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    shown = video.read()[1]
    video.release()
    drawn = Overlay(LEGEND).draw(captured(0).image, pavement)
    np.testing.assert_allclose(shown.mean(axis=(0, 1)), drawn.mean(axis=(0, 1)), atol=6)


def test_one_picture(tmp_path: Path) -> None:
    with Opened(Outputs(save=tmp_path / "p.png")) as fan:
        fan.write(result(0))
    with Image.open(tmp_path / "p.png") as image:
        expected = Overlay(LEGEND).draw(captured(0).image, mask(0))
        np.testing.assert_array_equal(np.asarray(image)[:, :, ::-1], expected)
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_a_live_source_that_is_lost_leaves_what_was_recorded(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Opened(everything(tmp_path), live=True) as fan:
        for index in range(3):
            fan.write(result(index))
        raise ZeroDivisionError
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["drive.jsonl", "drive.mp4", "masks"]
    assert frames_in(tmp_path / "out" / "drive.mp4") == 3


def test_a_video_shows_each_frame_at_its_own_time(tmp_path: Path) -> None:
    """A live source has no even rate: it gives what it has time for."""
    indices = [0, 1, 2, 10, 11, 30]
    with Opened(Outputs(save=tmp_path / "v.mp4")) as fan:
        for index in indices:
            fan.write(result(index))
    with av.open(str(tmp_path / "v.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([index / 10 for index in indices])


def test_an_odd_size_is_recorded_whole(tmp_path: Path) -> None:
    with Opened(Outputs(save=tmp_path / "v.mp4")) as fan:
        fan.write(result(0, (47, 63)))
    shown = cv2.VideoCapture(str(tmp_path / "v.mp4")).read()[1]
    assert shown.shape == (48, 64, 3)
    drawn = Overlay(LEGEND).draw(captured(0, (47, 63)).image, mask(0, (47, 63)))
    assert abs(shown[:47, :63].astype(int) - drawn).mean() < 30  # color is coded at half the size


def test_the_overlay_is_half_frame_and_half_color() -> None:
    frame, ids = captured(0).image, mask(0)
    expected = (frame >> 1) + (np.array(LABELS.palette, np.uint8)[ids][:, :, ::-1] >> 1)
    drawn = Overlay(LEGEND).draw(frame, ids)
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(frame, captured(0).image)  # and the frame is as it was


def test_trying_for_a_window_executes_nothing_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text("open('executed', 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISPLAY", ":99")
    explain_no_window()
    assert not (tmp_path / "executed").exists()


def test_outputs_of_one_frame_share_its_overlay() -> None:
    overlay = Overlay(LEGEND)
    first = overlay.draw(captured(0).image, mask(0))
    image, ids = captured(1).image, mask(1)
    second = overlay.draw(image, ids)
    assert overlay.draw(image, ids) is second
    assert overlay.draw(image, mask(2)) is not second
    np.testing.assert_array_equal(overlay.draw(captured(0).image, mask(0)), first)


def test_an_id_beyond_the_classes_is_black_whatever_its_type() -> None:
    """Of 16 bits, too, where the classes would fit into 8."""
    labels = Labels(
        classes=tuple(f"class {number}" for number in range(256)),
        palette=((200, 100, 50),) * 256,
        ignore_index=65535,
    )
    frame = np.full((1, 2, 3), 100, np.uint8)
    mask = np.array([[255, 65535]], np.uint16)
    drawn = Overlay(Legend.of(labels)).draw(frame, mask)
    assert drawn.tolist() == [[[75, 100, 150], [50, 50, 50]]]
