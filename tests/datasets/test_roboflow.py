"""Roboflow's export for semantic segmentation, where it differs from other folders of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from forms import count, count_plain
from shape_writers import write_roboflow

from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError


def test_a_split_alone(tmp_path: Path) -> None:
    write_roboflow(tmp_path, "train")
    found = open_dataset(tmp_path / "train")
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert found.notes[0].endswith("recognized by _classes.csv beside NAME_mask.png")


def test_classes_of_whole_images_are_no_masks(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "_classes.csv").write_text("filename, road, sky\na.jpg, 0, 1")
    (tmp_path / "train" / "a.jpg").touch()
    with pytest.raises(DatasetError, match="has no layout that edgeseg knows"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="has no _classes.csv beside masks NAME_mask.png"):
        open_dataset(f"roboflow:{tmp_path}")


def test_a_mask_that_is_missing_is_named(tmp_path: Path) -> None:
    write_roboflow(tmp_path, "train")
    (tmp_path / "train" / "train_street0_mask.png").unlink()
    (left,) = open_dataset(tmp_path).unpaired
    assert "train_street0.png has no mask" in left.reason
