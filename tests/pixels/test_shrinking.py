"""Images far larger than the network's input are mentioned: once, and ordinary ones never."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.data import gather_images
from edgeseg.deploy.job import open_job
from edgeseg.deploy.request import ExportRequest
from edgeseg.images import read_image
from edgeseg.pixels.shrinking import describe_shrinking
from edgeseg.progress import Progress
from edgeseg.spec import Aspect, InputSpec

SQUARE = InputSpec(height=512, width=512)
FITTED = InputSpec(height=512, width=512, aspect=Aspect.KEEP)


@pytest.mark.parametrize(
    ("height", "width", "spec", "times"),
    [
        (6000, 6000, SQUARE, "11.7"),
        (480, 6000, SQUARE, "11.7"),
        (6000, 480, SQUARE, "11.7"),
        (6000, 480, FITTED, "11.7"),
        (2100, 512, SQUARE, "4.1"),
        (2048, 512, SQUARE, None),
        (1080, 1920, SQUARE, None),
        (1080, 1920, FITTED, None),
        (100, 100, SQUARE, None),
    ],
)
def test_beyond_four_times(height: int, width: int, spec: InputSpec, times: str | None) -> None:
    note = describe_shrinking(height, width, spec, remedy="cut it")
    assert (note is None) == (times is None)
    if note is not None:
        assert f"{height}x{width} pixels (height x width) are shrunk {times} times" in note
        assert note.endswith("lost; cut it")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three images of 700x700, for a network of 96x128, beside one that fits."""
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for seed, side in enumerate((90, 700, 700, 700)):
        random = np.random.default_rng(seed)
        image = random.integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / f"data/images/{seed}.png")
        mask = random.integers(0, 11, (side, side), np.uint8)
        Image.fromarray(mask).save(tmp_path / f"data/masks/{seed}.png")
    return tmp_path / "data"


def test_a_run_says_it_once(edgeseg, seeded_bundle: Bundle, data: Path) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", data / "images")
    assert outcome.status == 0
    assert outcome.err.count("700x700 pixels (height x width) are shrunk 7.3 times") == 1
    assert outcome.err.count("--tile keeps their resolution") == 1


def test_a_run_that_shrinks_nothing_does_not_say_it(
    edgeseg, seeded_bundle: Bundle, data: Path
) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", data / "images", "--tile")
    assert outcome.status == 0
    assert "shrunk" not in outcome.err


def test_verify_says_how_many(edgeseg, seeded_bundle: Bundle, data: Path) -> None:
    outcome = edgeseg("verify", seeded_bundle.folder, "--data", data)
    assert outcome.err.count("3 of 4 images are far larger than the network's input") == 1
    assert "shrunk 7.3 times for the network's input of 96x128" in outcome.err
    assert "; --protocol slide measures at their own resolution" in outcome.err


def test_verify_says_it_of_a_single_image(edgeseg, seeded_bundle: Bundle, data: Path) -> None:
    for kind in ("images", "masks"):
        for path in sorted((data / kind).iterdir())[:-1]:
            path.unlink()
    outcome = edgeseg("verify", seeded_bundle.folder, "--data", data)
    assert "1 of 1 image is far larger than the network's input" in outcome.err


@pytest.mark.parametrize("limit", [2000, 5000])
def test_an_image_beyond_half_of_pillows_limit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """In silence."""
    Image.new("RGB", (60, 50)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert read_image(tmp_path / "a.png").shape == (50, 60, 3)


def test_what_an_export_measures_on_is_seen(
    tmp_path: Path, data: Path, checkpoint_folder: Path
) -> None:
    said: list[str] = []
    request = ExportRequest(
        weights=str(checkpoint_folder),
        target="onnxruntime",
        folder=tmp_path / "bundle",
        precision="fp16",
        dataset=open_dataset(data),
    )
    with open_job(request, Progress(say=said.append)) as job, gather_images(job) as found:
        assert found is not None
        said.clear()
        for read in found.images:
            read()
    (line,) = said
    assert "700x700 pixels (height x width) are shrunk 7.3 times" in line
    assert line.endswith("choose a larger --size, or segment them with edgeseg run --tile")
