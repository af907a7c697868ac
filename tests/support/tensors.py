"""Statistics of a whole tensor that is at hand, as a tapped graph gives them to calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.calibration.ranges import Statistics, add_sample, choose_sample_positions

if TYPE_CHECKING:
    import numpy as np


def add_tensor(statistics: Statistics, values: np.ndarray) -> Statistics:
    sample = values.reshape(-1)[choose_sample_positions(values.size)]
    low, high = float(values.min()), float(values.max())
    return add_sample(statistics, sample, low=low, high=high)
