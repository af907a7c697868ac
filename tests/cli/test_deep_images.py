"""`--range` on every command that reads images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.calibration.sets import choose_calibration_set
from edgeseg.images import PERHAPS_12_BITS, read_image, read_mask

RANGE = ("--range", "100,3000")


@pytest.fixture
def deep(street: Path, tmp_path: Path) -> Path:
    """The street, its images in 16 bits, of which they use a part."""
    root = tmp_path / "deep"
    shutil.copytree(street, root)
    for path in root.glob("*/images/*"):
        image = read_image(path)
        path.unlink()
        deep = np.rint(100 + image.astype(float) * 2900 / 255).astype(np.uint16)
        cv2.imwrite(str(path.with_suffix(".tif")), deep)
    return root


def test_verify_reads_images_in_a_range(edgeseg, seeded_bundle, deep: Path) -> None:
    args = ("verify", seeded_bundle.folder, "--data", deep, "--split", "test", "--json")
    by_option = edgeseg(*args, *RANGE)
    assert by_option.status == 0, by_option.err
    assert by_option.json["miou"] == 100
    names = json.loads((deep / "dataset.json").read_text())
    (deep / "dataset.json").write_text(json.dumps(names | {"range": [100, 3000]}))
    assert edgeseg(*args).json["miou"] == 100
    assert edgeseg(*args, "--range", "0,65535").json["miou"] < 100


def test_export_calibrates_and_measures_in_a_range(
    edgeseg, checkpoint_folder: Path, street: Path, deep: Path
) -> None:
    done = edgeseg(
        *(
            "export",
            "--form",
            "exact",
            "--weights",
            checkpoint_folder,
            "--data",
            deep,
            "--split",
            "test",
            *RANGE,
        ),
        *("--recipe", "int8-linear", "--int8", "--max-drop", "90", "--max-class-drop", "100"),
        *("-o", "made", "--json"),
    )
    assert done.status == 0, done.err
    # The hash is of the pixels.
    assert done.json["calibration"]["sha256"] == choose_calibration_set(str(street)).sha256
    fp32 = next(one for one in done.json["variants"] if one["precision"] == "fp32")
    assert fp32["miou"] == pytest.approx(100)
    assert PERHAPS_12_BITS not in done.err


def test_export_doubts_deep_images_without_a_range(
    edgeseg, checkpoint_folder: Path, deep: Path
) -> None:
    done = edgeseg(
        *("export", "--weights", checkpoint_folder, "--data", deep, "--split", "test"),
        *("--recipe", "int8-linear", "--int8", "--max-drop", "90", "-o", "made"),
    )
    first = min(path.stem for path in (deep / "test" / "images").iterdir())
    doubts = [line for line in done.err.splitlines() if PERHAPS_12_BITS in line]
    assert doubts == [f"{first}: {PERHAPS_12_BITS}; the next such images are not named"]


def test_run_and_calibrate_read_images_in_a_range(
    edgeseg, seeded_bundle, street: Path, deep: Path
) -> None:
    for folder, more in ((street, ()), (deep, RANGE)):
        done = edgeseg(
            *("run", seeded_bundle.folder, "--source", folder / "test" / "images"),
            *("--masks", f"{folder.name}-masks", *more),
        )
        assert done.status == 0, done.err
        done = edgeseg("calibrate", folder / "test/images", "-o", f"{folder.name}-set", *more)
        assert done.status == 0, done.err
    for path in Path("street-masks").glob("*.png"):
        np.testing.assert_array_equal(read_mask(Path("deep-masks") / path.name), read_mask(path))
    for path in Path("street-set").glob("*.png"):
        with Image.open(path) as one, Image.open(Path("deep-set") / path.name) as other:
            np.testing.assert_array_equal(np.asarray(other), np.asarray(one))
    assert len(list(Path("deep-set").glob("*.png"))) == 10


def test_what_is_not_images_has_no_range(edgeseg, seeded_bundle, clip: Path) -> None:
    for source in (clip, "demo"):
        done = edgeseg("run", seeded_bundle.folder, "--source", source, *RANGE)
        assert done.status == 1
        assert done.err.splitlines()[-1] == (
            f"edgeseg: {source} is not images, and --range is for images of more than 8 bits; "
            f"leave --range out"
        )


@pytest.mark.parametrize("command", ["run", "verify", "calibrate"])
def test_a_wrong_range_is_wrong_usage(command: str, edgeseg, seeded_bundle) -> None:
    args = {
        "run": (seeded_bundle.folder, "--source", "images"),
        "verify": (seeded_bundle.folder, "--data", "images"),
        "calibrate": ("images", "-o", "out"),
    }[command]
    done = edgeseg(command, *args, "--range", "4095")
    assert done.status == 2
    assert "'4095' is no range LOW,HIGH of values, such as 0,4095" in done.err
