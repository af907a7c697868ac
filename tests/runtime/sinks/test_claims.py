"""What a run refuses to write, before a source or a port is opened."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from trees import hashes
from videos import frames_in

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.files.signature import is_replaceable


@pytest.fixture
def run(edgeseg, seeded_bundle: Bundle):
    def call(*args: object):
        return edgeseg("run", seeded_bundle.folder, *args, "--frames", 2)

    return call


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    for name in ("frames/a.png", "frames/b.png", "cam1/0001.png", "cam2/0001.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), draw_scene(1, 0, height=64, width=64).image)
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)
    )
    for index in range(3):
        writer.write(draw_scene(1, index, height=48, width=64).image)
    writer.release()
    (tmp_path / "to_frames").symlink_to("frames")
    (tmp_path / "to_clip.avi").symlink_to("clip.avi")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "frames" / "a.png")
    return tmp_path


READ = [
    ["--source", "frames/*.png", "--masks", "frames"],
    ["--source", "frames/*.png", "--masks", "to_frames"],
    ["--source", "frames/*.png", "--save", "frames/a.png"],
    ["--source", "frames/a.png", "--save", "hard.png"],
    ["--source", "to_frames", "--masks", "frames"],
    ["--source", "frames", "--jsonl", "frames/o.jsonl"],
    ["--source", "cam*/0001.png", "--masks", "cam2"],
    ["--source", "to_clip.avi", "--jsonl", "clip.avi"],
    ["--source", "clip.avi", "--masks", "."],
]


@pytest.mark.parametrize("args", READ, ids=" ".join)
def test_what_is_read_is_not_written_to(run, frames: Path, args: list[str]) -> None:
    before = hashes(frames)
    outcome = run(*args)
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert f"{args[3]} lies where {args[1]} is read from; write somewhere else" in outcome.err
    assert hashes(frames) == before


@pytest.mark.parametrize("source", ["demo", "frames"])
def test_a_source_and_an_output_of_one_name_that_are_two_things(run, source: str) -> None:
    """`demo` is no folder, and a camera's number is no path."""
    if source == "frames":
        outcome = run("--camera", 0, "--masks", "0")
        assert outcome.err.startswith("edgeseg: camera 0 cannot be opened")
        return
    assert run("--source", "demo", "--masks", "demo").status == 0
    assert len(list(Path("demo").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("source", "first", "second"),
    [("frames", "frames/a.jpg", "frames/a.png"), ("cam*/*.png", "cam1/0001.png", "cam2/0001.png")],
)
def test_two_images_of_one_stem_are_refused(
    run, frames: Path, source: str, first: str, second: str
) -> None:
    shutil.copy(frames / "frames/a.png", frames / "frames/a.jpg")
    outcome = run("--source", source, "--masks", "m")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert f"{first} and {second} would both become m/" in outcome.err
    assert not Path("m").exists()
    assert run("--source", source, "--jsonl", "o.jsonl").status == 0


def photo(path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path, format="PNG")


def text(path: Path) -> None:
    path.write_text("years of work\n")


@pytest.mark.parametrize("made", [photo, text], ids=lambda made: made.__name__)
@pytest.mark.parametrize(
    "output",
    [["--save", "o.mp4"], ["--save", "o.png"], ["--jsonl", "o.jsonl"]],
    ids=lambda output: output[1],
)
def test_a_file_that_no_run_wrote_is_left(run, tmp_path: Path, output: list[str], made) -> None:
    made(tmp_path / output[1])
    before = hashes(tmp_path)
    outcome = run("--source", "demo", *output)
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    told = f"{output[1]} exists and does not say that edgeseg run wrote it (older versions did not)"
    assert f"{told}; remove it" in outcome.err
    assert hashes(tmp_path) == before


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_a_picture_of_an_earlier_run_is_replaced(edgeseg, seeded_bundle, suffix: str) -> None:
    for _ in range(2):
        args = ["--source", "demo", "--frames", 1, "--save", f"o.{suffix}"]
        assert edgeseg("run", seeded_bundle.folder, *args).status == 0
    assert [path.name for path in Path().iterdir()] == [f"o.{suffix}"]


def test_an_ending_is_refused_before_anything_is_opened(run, tmp_path: Path) -> None:
    """A .bmp holds no signature: a second run would take it for somebody's own."""
    for name in ("o.bmp", "o.gif"):
        outcome = run("--source", "demo", "--save", name)
        assert (outcome.status, outcome.err.count("\n")) == (1, 1)
        assert f"{name} cannot be written: unknown ending" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [4_000, 6_000, 500_000])
def test_lines_of_many_classes_are_replaced(tmp_path: Path, size: int) -> None:
    name = "x" * size
    fields = {"index": 0, "name": "a", "time_s": 0.0, "shares": {name: 1.0}}
    path = tmp_path / "o.jsonl"
    path.write_text(2 * (json.dumps(fields) + "\n"))
    assert is_replaceable(path)
    path.write_text(json.dumps(fields) + "and so on\n")
    assert not is_replaceable(path)


def test_masks_that_somebody_made_or_mended_are_left(run, tmp_path: Path) -> None:
    assert run("--source", "demo", "--masks", "m").status == 0
    assert run("--source", "demo", "--masks", "m").status == 0
    mended = tmp_path / "m" / "000001.png"
    with Image.open(mended) as image:
        Image.fromarray(np.asarray(image)).save(mended)
    (tmp_path / "m" / "map.png").write_bytes(b"of no frame, and in no way")
    before = hashes(tmp_path)
    outcome = run("--source", "demo", "--masks", "m")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "m/000001.png exists and does not say that edgeseg run wrote it" in outcome.err
    assert "; move it away, or give another folder" in outcome.err
    assert hashes(tmp_path) == before


def test_nothing_is_written_into_the_bundle(edgeseg, seeded_bundle: Bundle) -> None:
    shutil.copytree(seeded_bundle.folder, "street")
    for output in (["--masks", "street/golden"], ["--jsonl", "street/manifest.json"]):
        outcome = edgeseg("run", "street", "--source", "demo", "--frames", 1, *output)
        assert (outcome.status, outcome.err.count("\n")) == (1, 1)
        assert f"{output[1]} lies in the bundle street; write somewhere else" in outcome.err


@contextlib.contextmanager
def living_run(bundle: Bundle, *outputs: str) -> Iterator[subprocess.Popen[bytes]]:
    args = ["run", str(bundle.folder), "--source", "demo", *outputs]
    partial = Path("o.partial.mp4")
    with subprocess.Popen([sys.executable, "-m", "edgeseg", *args]) as process:
        try:
            while not partial.exists() or not partial.stat().st_size:
                assert process.poll() is None
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) in {0, -signal.SIGKILL}


OUTPUTS = ["--save", "o.mp4", "--masks", "m", "--jsonl", "o.jsonl"]


def test_a_second_run_names_the_first_and_leaves_it_alone(run, seeded_bundle: Bundle) -> None:
    with living_run(seeded_bundle, *OUTPUTS) as process:
        names = set(os.listdir())  # noqa: PTH208  # as the system lists them
        for output in (OUTPUTS[:2], OUTPUTS[2:4], OUTPUTS[4:]):
            outcome = run("--source", "demo", *output, "--preview", "1")
            assert (outcome.status, outcome.err.count("\n")) == (1, 1)
            assert f"{output[1]} is being written by process {process.pid}; " in outcome.err
        assert set(os.listdir()) == names  # noqa: PTH208
    assert sorted(path.name for path in Path().iterdir()) == ["m", "o.jsonl", "o.mp4"]
    assert frames_in(Path("o.mp4")) == len(Path("o.jsonl").read_text().splitlines())


def test_what_a_killed_run_left_is_kept_aside(run, seeded_bundle: Bundle) -> None:
    with living_run(seeded_bundle, *OUTPUTS) as process:
        process.kill()
    left = Path("o.partial.mp4").read_bytes()
    outcome = run("--source", "demo", *OUTPUTS)
    assert outcome.status == 0
    assert outcome.err.count("what a killed run left is kept: ") == 3
    assert Path("o.partial-1.mp4").read_bytes() == left
    assert not list(Path().glob(".*"))
    Path("o.mp4").rename("o.partial.mp4")  # signed, as of a run whose lock is not there
    Path("m").rename("m.partial")
    Path("o.jsonl").unlink()
    outcome = run("--source", "demo", *OUTPUTS)
    assert outcome.status == 0
    for name in ("o.partial-2.mp4", "m.partial-2"):
        assert f"what a killed run left is kept: {name}" in outcome.err
        assert Path(name).exists()


@pytest.mark.parametrize("output", [OUTPUTS[:2], OUTPUTS[2:4], OUTPUTS[4:]], ids=lambda o: o[1])
def test_a_working_name_that_somebody_has_is_left(run, tmp_path: Path, output: list[str]) -> None:
    name = Path(output[1])
    mine = Path(f"{name.stem}.partial{name.suffix}")
    if not name.suffix:
        mine.mkdir()
        mine /= "notes.txt"
    mine.write_text("years of work\n")
    before = hashes(tmp_path)
    outcome = run("--source", "demo", *output)
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert f"{name.stem}.partial{name.suffix} exists and does not say that edgeseg" in outcome.err
    assert "kept" not in outcome.err
    assert hashes(tmp_path) == before


def test_what_a_killed_run_left_can_be_read_but_not_into_its_own_name(run, frames: Path) -> None:
    (frames / "clip.avi").rename("o.partial.mp4")
    before = hashes(frames)
    outcome = run("--source", "o.partial.mp4", "--save", "o.mp4")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "as o.mp4 is called until it is whole; give another name" in outcome.err
    assert hashes(frames) == before
