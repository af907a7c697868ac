"""Protocol `slide`: a bundle as `run --tile`, a checkpoint as mmsegmentation."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

import edgeseg as library
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import SpecError
from edgeseg.images import read_image, read_mask, write_image, write_mask
from edgeseg.pixels import Frame, Output
from edgeseg.reports.measured import Windows
from edgeseg.reports.report import read_report
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.verification.opening import open_model
from edgeseg.verification.protocols import segment_by
from edgeseg.verification.ways import segment_as

TILES = Windows(height=96, width=128, stride_down=72, stride_across=96)
OWN = "windows of 96x128 pixels, 72 apart down and 96 across, over images at their own size"
PUBLISHED = "windows of 1024x1024 pixels, 768 apart down and 768 across, over images rescaled to"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Two scenes of more than a window, and one that is shorter than a window on one side."""
    for index, (height, width) in enumerate(((150, 310), (97, 129), (60, 200))):
        scene = draw_scene(index, 0, height=height, width=width)
        for part in ("images", "masks"):
            (tmp_path / "large" / part).mkdir(parents=True, exist_ok=True)
        write_image(scene.image, tmp_path / "large" / "images" / f"{index}.png")
        write_mask(np.minimum(scene.mask, 10), tmp_path / "large" / "masks" / f"{index}.png")
    return tmp_path / "large"


def test_a_run_and_a_verification_make_the_same_masks(
    edgeseg, seeded_bundle: Bundle, large: Path
) -> None:
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", large / "images", "--tile"),
        *("--masks", "m", "--save", "o/", "--jsonl", "o.jsonl"),
    )
    assert outcome.status == 0, outcome.err
    assert outcome.err.count("tiles of 96x128 pixels (height x width), 72 apart down and 96") == 1
    model = open_model(str(seeded_bundle.folder))
    for index in range(3):
        frame = read_image(large / "images" / f"{index}.png")
        expected = segment_as("slide", model, frame, candidate=model)
        np.testing.assert_array_equal(read_mask(Path(f"m/{index}.png")), expected)
        assert read_image(Path(f"o/{index}.png")).shape == frame.shape
        assert (expected != model.segment(frame)).mean() > 0.01
    model.close()


def test_a_bundle_is_measured_as_a_run_segments(
    edgeseg, seeded_bundle: Bundle, checkpoint_folder: Path, large: Path
) -> None:
    """The truth is the masks of `run --tile`, so any other way would not have 100 points."""
    run = ("run", seeded_bundle.folder, "--source", large / "images", "--tile", "--masks", "m")
    assert edgeseg(*run).status == 0
    for mask in Path("m").glob("*.png"):
        mask.replace(large / "masks" / mask.name)
    outcome = edgeseg(
        *("verify", seeded_bundle.folder, "--data", large, "--protocol", "slide"),
        *("--reference", checkpoint_folder, "--report", "r", "--json"),
    )
    found = read_report(Path("r/report.json"))
    assert (found.protocol, found.windows) == ("slide", TILES)
    assert found.miou == 100.0
    assert found.pixel_agreement == pytest.approx(100, abs=0.05)  # the checkpoint's in PyTorch
    assert outcome.err.count(f"--protocol slide of bundle seeded (fp32): {OWN}") == 1
    assert f"on 3 images, protocol slide: {OWN}" in outcome.err
    for form in ("md", "html", "xml"):
        assert f"slide: {OWN}" in Path(f"r/report.{form}").read_text("utf-8")
    assert "shrunk" not in outcome.err


def test_a_checkpoint_keeps_the_published_numbers(
    edgeseg, checkpoint_folder: Path, large: Path
) -> None:
    outcome = edgeseg("verify", checkpoint_folder, "--data", large, "--protocol", "slide", "--json")
    assert outcome.status == 0, outcome.err
    windows = {"height": 1024, "width": 1024, "stride_down": 768, "stride_across": 768}
    assert outcome.json["windows"] == {**windows, "short_px": 96}
    assert f"/model.safetensors: {PUBLISHED} a short side of 96" in outcome.err
    model = open_model(str(checkpoint_folder))
    frame = read_image(large / "images" / "0.png")
    found = segment_as("slide", model, frame, candidate=model)
    np.testing.assert_array_equal(found, segment_by("slide", model, frame, short_px=96))


def test_a_reference_of_another_size_sees_windows_of_its_own(
    edgeseg, seeded_bundle: Bundle, large: Path
) -> None:
    demo = find_demo_bundle()
    outcome = edgeseg(
        *("verify", seeded_bundle.folder, "--data", large, "--protocol", "slide"),
        *("--reference", demo),
    )
    assert "(fp32): windows of 96x128 pixels" in outcome.err
    assert "the reference, bundle demo_bundle" in outcome.err
    assert "windows of 512x512 pixels, 384 apart down and 384 across" in outcome.err


def test_python_tiles_too(seeded_bundle: Bundle, large: Path) -> None:
    frame = read_image(large / "images" / "0.png")
    with library.open(seeded_bundle.folder) as segmenter:
        found = segmenter.segment(frame, tile=True)
        (streamed, *_) = segmenter.stream(str(large / "images"), tile=True)
        assert (found.mask != segmenter.segment(frame).mask).any()
    np.testing.assert_array_equal(streamed.mask, found.mask)
    assert min(found.prepare_ms, found.infer_ms, found.mask_ms) > 0


def test_a_video_is_tiled_at_its_own_size(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    fourcc = cv2.VideoWriter_fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), fourcc, 10, (200, 130))
    for index in range(2):
        writer.write(draw_scene(1, index, height=130, width=200).image)
    writer.release()
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "clip.avi", "--tile", "--masks", "m", "--json"
    )
    assert outcome.json["frames"] == 2
    assert [read_mask(path).shape for path in Path("m").glob("*.png")] == [(130, 200)] * 2


def test_a_frame_that_nobody_waits_for_is_given_up(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """The first mask is taken; the second frame's 196 windows are not all looked at."""

    class Slow:
        def __init__(self, backend: Backend) -> None:
            self.backend, self.looks = backend, 0

        def infer(self, frame: Frame, /) -> Output:
            self.looks += 1
            time.sleep(0.01 * (self.looks > 1))
            return self.backend.infer(frame)

    write_image(np.zeros((96, 128, 3), np.uint8), tmp_path / "a.png")
    write_image(np.zeros((1000, 1300, 3), np.uint8), tmp_path / "b.png")
    with Segmenter(seeded_bundle) as segmenter:
        slow = Slow(segmenter.backend)
        segmenter.backend = slow
        results = segmenter.stream(str(tmp_path), tile=True)
        assert next(results).captured.name == "a"
        results.close()
        assert slow.looks < 100
        segmenter.backend = slow.backend


def test_class_ids_are_not_averaged(seeded_bundle: Bundle, large: Path) -> None:
    variant = msgspec.structs.replace(seeded_bundle.chosen, output="class_map")
    frame = read_image(large / "images" / "0.png")
    with Segmenter(seeded_bundle, variant=variant) as segmenter:
        for make in (
            lambda: segmenter.segment(frame, tile=True),
            lambda: next(segmenter.stream(str(large / "images"), tile=True)),
        ):
            with pytest.raises(SpecError, match=r"fp32 ends in class ids, .* export --target"):
                make()
