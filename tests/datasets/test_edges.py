from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from guide import is_in_the_guide
from PIL import Image

from edgeseg.datasets import FilePair, MaskFile, Sample, Survey
from edgeseg.datasets.edges import find_edge_ids, looks_smoothed
from edgeseg.datasets.reading import Reading
from edgeseg.errors import DatasetError


def smoothed() -> np.ndarray:
    """A disk, drawn four times as large and made smaller with all shades between."""
    rows, columns = np.indices((160, 160))
    disk = Image.fromarray((((rows - 80) ** 2 + (columns - 80) ** 2 < 3000) * 255).astype(np.uint8))
    return np.asarray(disk.resize((40, 40), Image.Resampling.BILINEAR))


def test_a_smoothed_mask_is_known_by_its_edges() -> None:
    mask = smoothed()
    assert find_edge_ids(mask) == set(np.unique(mask).tolist()) - {0, 255}
    assert looks_smoothed(mask)
    assert not looks_smoothed(np.kron(np.arange(30).reshape(5, 6), np.ones((3, 3), np.int64)))


def test_a_smoothed_mask_of_few_classes_is_refused_as_one() -> None:
    reading = Reading(origin="d", classes=2, ignored=255, table={0: 0, 1: 1, 255: 255})
    item = FilePair(Path("a.jpg"), MaskFile(Path("a.png")))
    with pytest.raises(DatasetError, match="lie along edges only, as smoothing") as caught:
        reading.apply(smoothed(), item)
    assert is_in_the_guide(str(caught.value))


def test_smoothed_masks_whose_ids_are_all_classes_are_noted() -> None:
    """With more than 127 classes, as ADE20K has, every shade of an edge may be one."""
    survey = Survey()
    image = np.zeros((40, 40, 3), np.uint8)
    survey.add(Sample(name="sharp", image=image, mask=np.uint8(149) * (smoothed() > 127)))
    survey.add(Sample(name="a", image=image, mask=smoothed() // 2))
    (note,) = Survey.join([survey]).notes(None)
    assert (
        "masks that look smoothed, with many ids that lie along edges only: 1, the first a" in note
    )
