"""Images in folders below that of the images are named, with what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from form_writers import put_between
from forms import count, count_plain

from edgeseg.data_rules import Rules
from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError


@pytest.mark.parametrize(
    ("images", "masks", "split"),
    [
        ("images/seq0", "masks/seq0", None),
        ("images/city/seq0", "masks/city/seq0", None),
        ("images/train/seq0", "labels/train/seq0", "train"),
        ("img_dir/val/seq0", "ann_dir/val/seq0", "val"),
        ("images/val/seq0", "annotations/val/seq0", "val"),
    ],
)
def test_the_options_that_are_named_read_a_folder_below(
    images: str, masks: str, split: str | None, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    for other in ("", "_b"):
        put_between(f"{images}{other}", f"{masks}{other}")(root, "a")
    with pytest.raises(DatasetError, match="no images; .*seq0/, .*seq0_b/ below it do") as told:
        open_dataset(root, split=split)
    options = re.search(r"--images-dir (\S+) --masks-dir (\S+)$", str(told.value))
    assert options is not None
    assert options.groups() == (images, masks)
    found = open_dataset(root, rules=Rules(images_dir=images, masks_dir=masks))
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))


def test_images_below_others_are_named(tmp_path: Path) -> None:
    put_between("images", "masks")(tmp_path, "a")
    put_between("images/more", "masks/more")(tmp_path, "a")
    told = f"images in folders of {tmp_path}/images are not read: more/"
    assert told in open_dataset(tmp_path).notes
