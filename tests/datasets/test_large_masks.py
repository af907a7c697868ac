"""Large masks are counted and renamed by blocks: little memory, and the counts of NumPy at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeseg.accuracy.metrics import class_shares, confusion
from edgeseg.datasets import FilePair, MaskFile, Sample, Survey
from edgeseg.datasets.edges import find_edge_ids, looks_smoothed
from edgeseg.datasets.reading import Reading
from edgeseg.datasets.truth.color_table import ColorTable
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.datasets.uncounted import Tally
from edgeseg.pixels import count_ids, rename_ids, split_rows

SIDE, IDS = 2000, 30
MASK = (np.indices((SIDE, SIDE)).sum(axis=0) // 50 % IDS).astype(np.uint8)
OTHER = np.roll(MASK, 7, axis=0)
IMAGE = np.zeros((SIDE, SIDE, 3), np.uint8)
PAINTED = np.repeat(MASK[:, :, None], 3, axis=2)
SAME = {own: own for own in range(IDS)}
GRAYS = ColorTable(origin="d", ids={(own, own, own): own for own in SAME}, ignored=255)
READING = Reading(origin="d", classes=IDS, ignored=255, table=SAME)
ITEM = FilePair(Path("a.jpg"), MaskFile(Path("a.png")))


@pytest.mark.parametrize(
    ("work", "most"),
    [
        pytest.param(
            lambda: Survey().add(Sample(name="a", image=IMAGE, mask=MASK)), 1, id="survey"
        ),
        pytest.param(lambda: Tally().add(MASK), 1, id="tally"),
        pytest.param(lambda: find_edge_ids(MASK), 1, id="edges"),
        pytest.param(lambda: class_shares(MASK, ["a"]), 1, id="shares"),
        pytest.param(
            lambda: confusion(MASK, OTHER, classes=IDS, ignore_index=255), 2, id="confusion"
        ),
        # The result takes one byte.
        pytest.param(lambda: READING.apply(MASK, ITEM), 2, id="reading"),
        pytest.param(lambda: IdMap("d", SAME).apply(MASK, Path("a.png")), 2, id="published ids"),
        pytest.param(lambda: GRAYS.apply(PAINTED, Path("a.png")), 4, id="painted"),
    ],
)
def test_few_bytes_a_pixel(work: Callable[[], object], most: float) -> None:
    tracemalloc.start()
    try:
        work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / MASK.size <= most


def test_blocks_add_up() -> None:
    np.testing.assert_array_equal(count_ids(MASK), np.bincount(MASK.ravel()))
    pairs = np.zeros((IDS, IDS), np.int64)
    np.add.at(pairs, (MASK[::9], OTHER[::9]), 1)
    found = confusion(MASK[::9], OTHER[::9], classes=IDS, ignore_index=255)
    np.testing.assert_array_equal(found, pairs)
    colors = np.arange(3 * IDS, dtype=np.uint8).reshape(IDS, 3)
    np.testing.assert_array_equal(rename_ids(MASK, colors), colors[MASK])
    np.testing.assert_array_equal(GRAYS.apply(PAINTED, Path("a.png")).ids, MASK)


def test_strange_colors_of_all_blocks_are_counted() -> None:
    painted = PAINTED.copy()
    painted[0, :3] = painted[-1, :2] = (1, 2, 3)
    assert GRAYS.apply(painted, Path("a.png")).unknown == {(1, 2, 3): 5}


def test_edges_at_the_border_of_two_blocks() -> None:
    """A pixel in the last or first row of a block is inside by its neighbors in the other one."""
    first, second, *_ = split_rows(SIDE, SIDE)
    for row in (first.stop - 1, second.start):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[row - 1 : row + 2, 10:13] = 1
        mask[row, 20] = 2
        assert find_edge_ids(mask) == {2}


def test_an_id_between_two_others_at_the_border_of_two_blocks() -> None:
    first, second, *_ = split_rows(SIDE, SIDE)
    for row in (first.stop - 1, second.start):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[row] = 1
        mask[row + 1 :] = 2
        assert looks_smoothed(mask)
        assert looks_smoothed(mask.T)
