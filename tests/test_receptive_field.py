from __future__ import annotations

import numpy as np
import pytest

from edgeseg.segformer.receptive_field import ReceptiveField


def _field(mass: np.ndarray, center: tuple[int, int]) -> ReceptiveField:
    return ReceptiveField(mass=mass.astype(np.float64), center=center)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("center", [(8, 12), (0, 0), (19, 3)], ids=str)
def test_the_square_is_the_smallest_that_holds_the_share(
    center: tuple[int, int], share: float
) -> None:
    # Whole numbers, whose sums are exact in any order.
    mass = np.random.default_rng(0).integers(0, 1000, (20, 30))
    side = _field(mass, center).find_side(share)
    assert side % 2 == 1
    held = [_count_inside(mass, center, reach) for reach in (side // 2 - 1, side // 2)]
    assert held[0] < share * mass.sum() <= held[1]


def test_a_field_of_one_pixel_has_a_side_of_one() -> None:
    mass = np.zeros((9, 9))
    mass[4, 5] = 3
    assert _field(mass, (4, 5)).find_side(1.0) == 1
    assert _field(mass, (4, 3)).find_side(0.01) == 5


def _count_inside(mass: np.ndarray, center: tuple[int, int], reach: int) -> int:
    if reach < 0:
        return 0
    row, column = center
    rows = slice(max(0, row - reach), row + reach + 1)
    return int(mass[rows, max(0, column - reach) : column + reach + 1].sum())
