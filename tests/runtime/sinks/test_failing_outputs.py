"""Outputs that fail: the others go on, and nothing is lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outputs import SIZE, Opened, everything, result
from videos import frames_in

from edgeseg.errors import SinkError
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.masks import MaskFiles
from edgeseg.runtime.sinks.outputs import Outputs


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Opened(everything(tmp_path)) as fan,
    ):
        fan.write(result(0))
        raise ZeroDivisionError
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_that_fails_keeps_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    for fails in (False, True):
        try:
            with Opened(everything(tmp_path)) as fan:
                fan.write(result(0))
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["drive.jsonl", "drive.mp4", "masks"]
    assert (tmp_path / "out" / "masks" / "000000.png").exists()


@pytest.mark.parametrize(
    ("name", "second", "says"),
    [
        ("p.png", SIZE, "takes one frame"),
        ("v.mp4", (32, 32), "it is 32x32 (height x width), the frames before are 48x64"),
    ],
)
@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_when_the_last_output_fails_all_are_given_up(
    tmp_path: Path, name: str, second: tuple[int, int], says: str, live: bool
) -> None:
    """Of a file nothing is left; of a live source, which cannot be run again, what was good."""
    opened = Opened(Outputs(save=tmp_path / name), live=live)
    with opened as fan:
        fan.write(result(0))
        assert not fan.given_up
        fan.write(of_a_file(result(1, second)))
    assert fan.given_up
    assert fan.failed == 1
    assert len(opened.said) == 1
    assert says in opened.said[0]
    assert ("kept" in opened.said[0]) == live
    assert [p.name for p in tmp_path.iterdir()] == ([name] if live else [])


def of_a_file(one: Result) -> Result:
    """As a folder of images gives it."""
    return replace(one, captured=replace(one.captured, path=Path("1.png")))


def test_one_output_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    opened = Opened(Outputs(save=tmp_path / "p.png", jsonl=str(tmp_path / "lines")))
    with opened as fan:
        for index in range(5):
            fan.write(result(index))
    assert not fan.given_up
    assert fan.failed == 1
    (line,) = opened.said
    assert line.startswith(f"edgeseg: {tmp_path / 'p.png'} takes one frame; ")
    assert line.endswith("; the other outputs go on")
    assert [p.name for p in tmp_path.iterdir()] == ["lines"]
    assert len((tmp_path / "lines").read_text().splitlines()) == 5


def test_an_output_that_cannot_be_opened_leaves_the_others_unwritten(tmp_path: Path) -> None:
    outputs = Outputs(masks=MaskFiles(tmp_path / "masks"), jsonl=str(tmp_path))
    with pytest.raises(SinkError, match="it is a folder"), Opened(outputs, live=True):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["v.xyz", "v"])
def test_an_unknown_ending_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(SinkError, match="unknown ending"),
        Opened(Outputs(save=tmp_path / name)),
    ):
        pass


@pytest.mark.parametrize("field", ["save", "masks", "jsonl"])
def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path, field: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x.mp4"
    values = {"save": path, "masks": MaskFiles(path), "jsonl": str(path)}
    outputs = Outputs(**{field: values[field]})
    with pytest.raises(SinkError, match=r"x\.mp4"), Opened(outputs):
        pass


def noise(index: int) -> Result:
    """Hard to encode, so that a disk fills."""
    random = np.random.default_rng(index)
    one = result(index, (240, 320))
    image = random.integers(0, 255, (240, 320, 3), np.uint8)
    return replace(one, captured=replace(one.captured, image=image))


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("free", [0, 60_000, 2_000_000], ids=["at once", "at the end", "midway"])
def test_a_disk_that_is_full(small_disk: Path, free: int, live: bool) -> None:
    """Whenever it fills, FFmpeg's last flush included, it is told; older files are as they were."""
    (small_disk / "v.mp4").write_bytes(b"old, written by edgeseg run")
    filler = shutil.disk_usage(small_disk).free - free
    (small_disk / "filler").write_bytes(bytes(filler))
    opened = Opened(Outputs(save=small_disk / "v.mp4"), live=live)
    frames = 1 if free == 60_000 else 60
    with opened as fan:
        for index in range(frames):
            fan.write(noise(index))
            if fan.given_up:
                break
    assert fan.failed == 1
    (line,) = opened.said
    assert "v.mp4 cannot be written: No space left on device" in line
    kept = live and free == 2_000_000
    assert ("kept" in line) == kept
    assert fan.written == ([small_disk / "v.mp4"] if kept else [])
    if kept:
        assert frames_in(small_disk / "v.mp4") >= 10
    else:
        assert (small_disk / "v.mp4").read_bytes().startswith(b"old")


def test_a_name_that_is_taken_meanwhile_loses_nothing_of_a_live_run(tmp_path: Path) -> None:
    """The other outputs come to their end, and what cannot take its name lies beside it."""
    opened = Opened(everything(tmp_path), live=True)
    with opened as fan:
        for index in range(3):
            fan.write(result(index))
        (tmp_path / "out" / "drive.mp4").mkdir()
        (tmp_path / "out" / "drive.jsonl").mkdir()
    assert fan.failed == 2
    assert fan.written == [tmp_path / "out" / "masks"]
    assert all("; the new one is kept as " in line for line in opened.said)
    assert frames_in(tmp_path / "out" / "drive.partial.mp4") == 3
    assert len((tmp_path / "out" / "drive.partial.jsonl").read_text().splitlines()) == 3


def test_a_live_output_that_fails_and_cannot_end_lies_beside(tmp_path: Path) -> None:
    opened = Opened(Outputs(save=tmp_path / "p.png"), live=True)
    with opened as fan:
        fan.write(result(0))
        (tmp_path / "p.png").mkdir()
        fan.write(result(1))
    assert opened.said[0].endswith(f"; the new one is kept as {tmp_path / 'p.partial.png'}")
    assert (tmp_path / "p.partial.png").is_file()
    assert fan.written == []


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_what_cannot_take_its_name_lies_beside(tmp_path: Path, live: bool) -> None:
    """Whatever somebody puts there meanwhile, nothing of the run is lost."""
    out = tmp_path / "out"
    opened = Opened(everything(tmp_path), live=live)
    with opened as fan:
        for index in range(3):
            fan.write(result(index))
        (out / "masks").mkdir()
        for name in ("drive.mp4", "drive.jsonl", "masks/000001.png"):
            (out / name).write_text("mine")
    assert (fan.failed, fan.written) == (3, [])
    for line, name in zip(opened.said, ("drive", "masks", "drive"), strict=True):
        assert f"; the new one is kept as {out / name}.partial" in line
    assert frames_in(out / "drive.partial.mp4") == 3
    assert len((out / "drive.partial.jsonl").read_text().splitlines()) == 3
    assert [path.name for path in (out / "masks.partial").iterdir()] == ["000001.png"]
    assert sorted(path.name for path in (out / "masks").iterdir()) == [
        "000000.png", "000001.png", "000002.png", "legend.json",
    ]  # fmt: skip
    assert (out / "masks" / "000001.png").read_text() == "mine"


def test_what_the_encoder_refuses_is_one_line(tmp_path: Path) -> None:
    opened = Opened(Outputs(save=tmp_path / "v.mp4", jsonl=str(tmp_path / "lines")))
    with opened as fan:
        fan.write(result(0, (2, 20_000), ids=np.zeros((2, 20_000), np.uint8)))
    assert fan.failed == 1
    assert opened.said[0].startswith(f"edgeseg: {tmp_path / 'v.mp4'} cannot be written: ")
    assert [p.name for p in tmp_path.iterdir()] == ["lines"]
