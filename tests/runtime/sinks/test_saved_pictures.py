"""What `--save` makes of one image, of many, and of frames without end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest
from clips import write_clip

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.images import read_image, read_mask
from edgeseg.labels import get_known_labels
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.overlay import Overlay

if TYPE_CHECKING:
    from outcome import Outcome

SMPTE_170M = 6  # BT.601's matrix, by its number in ITU-T H.273
SIZES = {"a": (48, 64), "b": (64, 48)}


@pytest.fixture
def run(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> Callable[..., Outcome]:
    """Beside a folder of images of two sizes, and a clip."""
    (tmp_path / "frames").mkdir()
    for seed, (name, (height, width)) in enumerate(SIZES.items()):
        image = draw_scene(1, seed, height=height, width=width).image
        cv2.imwrite(str(tmp_path / "frames" / f"{name}.png"), image)
    write_clip(tmp_path / "clip.mp4", [0, 0.1, 0.2])
    return lambda *args: edgeseg("run", seeded_bundle.folder, *args)


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_of_overlays(run: Callable[..., Outcome], exists: bool) -> None:
    if exists:
        Path("overlays").mkdir()
    save = "overlays" if exists else "overlays/"
    for _ in range(2):  # the second run replaces what the first one wrote
        outcome = run("--source", "frames", "--save", save, "--masks", "masks")
        assert outcome.status == 0, outcome.err
    assert "written: overlays" in outcome.err
    assert sorted(path.name for path in Path("overlays").iterdir()) == ["a.png", "b.png"]
    for name, size in SIZES.items():
        image = read_image(Path(f"frames/{name}.png"))
        mask = read_mask(Path(f"masks/{name}.png"))
        assert mask.shape == size
        drawn = Overlay(Legend.of(get_known_labels("camvid"))).draw(image, mask)
        np.testing.assert_array_equal(read_image(Path(f"overlays/{name}.png")), drawn)


def test_overlays_that_somebody_made_are_left(run: Callable[..., Outcome]) -> None:
    Path("overlays").mkdir()
    Path("overlays/b.png").write_bytes(b"a drawing")
    outcome = run("--source", "frames", "--save", "overlays/")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "overlays/b.png exists and does not say that edgeseg run wrote it" in outcome.err
    assert [path.name for path in Path("overlays").iterdir()] == ["b.png"]


def test_overlays_do_not_go_where_images_are_read(run: Callable[..., Outcome]) -> None:
    outcome = run("--source", "frames", "--save", "frames/")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "frames lies where frames is read from" in outcome.err


@pytest.mark.parametrize("source", ["clip.mp4", "frames", "demo", "frames/*.png"])
def test_one_picture_of_many_frames_is_refused_at_once(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    def no_engine(*_args: object, **_kwargs: object) -> None:
        raise AssertionError

    monkeypatch.setattr("edgeseg.runtime.segmenter.open_backend", no_engine)
    outcome = run("--source", source, "--save", "side.png")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "side.png takes one frame" in outcome.err
    assert "(--save side/), or add --frames 1" in outcome.err


@pytest.mark.parametrize("args", [["clip.mp4", "--frames", "1"], ["frames/a.png"]])
def test_one_picture_of_one_frame(run: Callable[..., Outcome], args: list[str]) -> None:
    outcome = run("--source", *args, "--save", "side.png")
    assert outcome.status == 0, outcome.err
    assert read_image(Path("side.png")).shape == (48, 64, 3)


def test_a_video_says_how_its_colors_are_coded(run: Callable[..., Outcome]) -> None:
    """Players take a large video that says nothing for BT.709, and greens and reds shift."""
    assert run("--source", "clip.mp4", "--save", "v.mp4").status == 0
    with av.open("v.mp4") as container:
        assert container.streams.video[0].codec_context.colorspace == SMPTE_170M


def test_a_video_of_two_sizes_names_the_way_out(run: Callable[..., Outcome]) -> None:
    outcome = run("--source", "frames", "--save", "v.mp4")
    assert outcome.status == 1
    (line,) = (line for line in outcome.err.splitlines() if "v.mp4" in line)
    assert "cannot take b: it is 64x48 (height x width)" in line
    assert "--save FOLDER/ writes a picture for each" in line


def test_a_name_without_an_ending_is_refused(run: Callable[..., Outcome]) -> None:
    outcome = run("--source", "frames", "--save", "overlays")
    assert outcome.status == 1
    assert "or overlays/ for a folder of pictures" in outcome.err
