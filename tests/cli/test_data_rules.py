"""Options that say how a data set is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgeseg.images import read_mask, write_mask
from edgeseg.labels import get_known_labels


@pytest.fixture
def renamed(street: Path, tmp_path: Path) -> Path:
    """The street with other names of folders and masks, and ids that are one higher."""
    root = tmp_path / "renamed"
    for split in ("train", "test"):
        shutil.copytree(street / split / "images", root / split / "photos")
        (root / split / "truth").mkdir()
        for path in sorted((street / split / "masks").iterdir()):
            write_mask(read_mask(path) + 1, root / split / "truth" / f"{path.stem}_ids.png")
    shutil.copy(street / "dataset.json", root)
    return root


ALL_ARE_ROAD = f"Road={','.join(get_known_labels('camvid').classes)}"
OPTIONS = (
    *("--images-dir", "photos", "--masks-dir", "truth", "--mask-suffix", "_ids"),
    *("--reduce-labels", "--merge", ALL_ARE_ROAD, "--ignore-index", "0,255"),
)


def test_verify_reads_by_options(edgeseg, seeded_bundle, renamed: Path) -> None:
    args = ("verify", seeded_bundle.folder, "--data", renamed, "--split", "test", "--json")
    done = edgeseg(*args, *OPTIONS)
    assert done.status == 0, done.err
    plain = edgeseg(*args, *OPTIONS[:6], "--reduce-labels")
    assert plain.json["miou"] == 100
    assert done.json["miou"] < 100  # the model tells the classes apart
    assert edgeseg(*args).status == 1


def test_export_calibrates_on_the_train_split_of_the_same_form(
    edgeseg, checkpoint_folder: Path, renamed: Path
) -> None:
    done = edgeseg(
        *(
            "export",
            "--form",
            "exact",
            "--weights",
            checkpoint_folder,
            "--data",
            renamed,
            "--split",
            "test",
        ),
        *(*OPTIONS[:7], "--recipe", "int8-linear", "--int8", "--max-drop", "90"),
        *("--max-class-drop", "100", "-o", "made", "--json"),
    )
    assert done.status == 0, done.err
    assert json.loads(done.out)["calibration"]["images"] == 12
    fp32 = next(one for one in done.json["variants"] if one["precision"] == "fp32")
    assert fp32["miou"] == pytest.approx(100)


@pytest.mark.parametrize("option", [("--merge", "a=1"), ("--reduce-labels",)])
def test_rules_need_a_data_set(option: tuple[str, ...], edgeseg, seeded_bundle) -> None:
    done = edgeseg("verify", seeded_bundle.folder, *option)
    assert done.status == 2
    assert f"{option[0]} needs images with ground truth; add --data DATASET" in done.err
