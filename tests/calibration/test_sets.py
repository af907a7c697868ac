from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.calibration.gather import gather
from edgeseg.calibration.pictures import list_pictures
from edgeseg.calibration.sets import (
    choose_calibration_set,
    find_shared_images,
    hash_content,
    keep_frames,
)
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.errors import CalibrationError, SourceError
from edgeseg.images import read_image, write_mask
from edgeseg.progress import Progress


def write_scenes(folder: Path, seeds: range, *, masks: Path | None = None) -> None:
    folder.mkdir(parents=True)
    for seed in seeds:
        drawn = draw_scene(seed, 0, height=48, width=64)
        Image.fromarray(drawn.image[:, :, ::-1].copy()).save(folder / f"{seed:03d}.png")
        if masks is not None:
            masks.mkdir(exist_ok=True)
            write_mask(drawn.mask, masks / f"{seed:03d}.png")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A data set with a train and a test split."""
    root = tmp_path / "street"
    for split, seeds in (("train", range(60)), ("test", range(100, 110))):
        write_scenes(root / split / "images", seeds, masks=root / split / "masks")
    return root


def test_only_the_train_split_of_a_data_set_is_used(street: Path) -> None:
    chosen = choose_calibration_set(str(street), count=55)
    assert len(chosen.pictures) == 55
    assert {int(picture.name) for picture in chosen.pictures} < set(range(60))
    assert chosen.warnings == ()
    assert not find_shared_images(chosen, open_dataset(street, split="test"))


def test_a_data_set_without_a_train_split_is_refused(street: Path) -> None:
    (street / "train").rename(street / "other")
    with pytest.raises(CalibrationError, match="no train split, only test"):
        choose_calibration_set(str(street))


def test_images_that_decide_the_gate_are_found_by_content(street: Path) -> None:
    """Under another name and in another format."""
    for name in ("100", "105"):
        image = Image.open(street / "test" / "images" / f"{name}.png")
        image.save(street / "train" / "images" / f"new{name}.bmp")
    chosen = choose_calibration_set(str(street), count=100)
    assert find_shared_images(chosen, open_dataset(street, split="test")) == ("100", "105")


def test_the_set_has_a_hash_that_its_content_decides(street: Path, tmp_path: Path) -> None:
    first = choose_calibration_set(str(street), count=10)
    assert first.sha256 == choose_calibration_set(str(street), count=10).sha256
    assert first.sha256 != choose_calibration_set(str(street), count=11).sha256
    copy = tmp_path / "copy"
    copy.mkdir()
    for picture in first.pictures:
        Image.fromarray(picture.image()[:, :, ::-1].copy()).save(copy / f"{picture.name}.png")
    assert choose_calibration_set(str(copy), count=10).sha256 == first.sha256


def test_few_alike_and_noise_are_warned_about(tmp_path: Path) -> None:
    write_scenes(tmp_path / "few", range(4))
    (warning,) = choose_calibration_set(str(tmp_path / "few")).warnings
    assert warning.startswith("only 4 calibration images: what they do not show may be clipped")
    alike = tmp_path / "alike"
    alike.mkdir()
    random = np.random.default_rng(0)
    for index in range(60):
        gray = np.full((48, 64, 3), 100, np.uint8) + random.integers(0, 3, (48, 64, 3), np.uint8)
        Image.fromarray(gray).save(alike / f"{index}.png")
    (warning,) = choose_calibration_set(str(alike)).warnings
    assert "only 1 calibration image (59 more were near-duplicates" in warning
    noise = tmp_path / "noise"
    noise.mkdir()
    for index in range(60):
        pixels = random.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(noise / f"{index}.png")
    warnings = choose_calibration_set(str(noise)).warnings
    assert any("look like noise" in warning for warning in warnings)
    assert not any("near-duplicates" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "holds no images"),
        (lambda path: None, "no calibration source at"),
    ],
)
def test_no_images_are_refused(make, says: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(CalibrationError, match=says):
        choose_calibration_set(str(tmp_path / "x"))


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    write_scenes(tmp_path / "x", range(3))
    for name in ("broken", "torn"):
        (tmp_path / "x" / f"{name}.png").write_bytes(b"not an image")
    with pytest.raises(SourceError, match=r"2 of 5 calibration images .*broken\.png.*torn\.png"):
        choose_calibration_set(str(tmp_path / "x"))


def test_the_demo_has_three_hundred_drives_of_its_own() -> None:
    pictures = list_pictures("demo")
    assert len(pictures) == 300
    assert {p.name for p in pictures}.isdisjoint(i.name for i in open_dataset("demo").items)


def test_of_a_large_source_a_seeded_draw_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(3200):
        (folder / f"{index:04d}.png").touch()
    drawn = list_pictures(str(folder), count=10)
    assert len(drawn) == 3000
    assert drawn == list_pictures(str(folder), count=10)
    assert [p.name for p in drawn] == sorted(p.name for p in drawn)


def test_frames_of_a_video_are_kept_where_they_differ(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for index in range(30):  # ten places, three frames each
        writer.write(draw_scene(index // 3, 0, height=48, width=64).image)
    writer.release()
    chosen = gather(
        str(clip), tmp_path / "kept", count=8, seconds=None, progress=Progress(say=print)
    )
    files = sorted((tmp_path / "kept").iterdir())
    assert len(chosen.pictures) == len(files) == 8
    assert hash_content(read_image(files[0])) == chosen.hashes[0]
    with pytest.raises(SourceError, match="not an empty folder"):
        gather(str(clip), tmp_path / "kept", count=8, seconds=None, progress=Progress(say=print))


def test_a_long_video_leaves_few_files(tmp_path: Path) -> None:
    """Every second goes when there are ten times too many, so the whole length stays covered."""
    random = np.random.default_rng(0)
    frames = (random.integers(0, 256, (12, 12, 3), dtype=np.uint8) for _ in range(200))
    most = 0

    def watched():
        nonlocal most
        for frame in frames:
            yield frame
            most = max(most, len(list((tmp_path / "k").glob("*.png"))))

    chosen = keep_frames(watched(), tmp_path / "k", count=5)
    assert most <= 51
    assert len(chosen.pictures) == 5
    assert max(int(p.name.removeprefix("frame_")) for p in chosen.pictures) > 100
