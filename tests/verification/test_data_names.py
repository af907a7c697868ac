from __future__ import annotations

from pathlib import Path

import pytest
from reports import without_reference

from edgeseg.datasets import open_dataset
from edgeseg.errors import ReportError
from edgeseg.reports.report import ImageResult
from edgeseg.verification.baseline import check_images


def test_other_images_are_named_with_their_split_on_both_sides() -> None:
    image = ImageResult(name="a", sha256="0", classes=(), labelled=(), hits=(), predicted=())
    baseline = without_reference(per_image=(image,))
    dataset = open_dataset("demo", split="val")
    with pytest.raises(ReportError) as caught:
        check_images(baseline, dataset, origin=Path("old.json"))
    names = f"its data are camvid test (233 images), these demo val ({len(dataset)} images)"
    assert names in str(caught.value)
