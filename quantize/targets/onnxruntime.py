"""INT8 for ONNX Runtime: Q/DQ, with our ranges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeseg.files.whole import write_whole
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.qdq import QDQ_ROLES, to_qdq
from edgeseg.quantize.recipes import Recipe
from edgeseg.segformer.groups import Group

__all__ = ["OrtQuantizer"]


class OrtQuantizer:
    """Q/DQ for ONNX Runtime, with our ranges."""

    roles = QDQ_ROLES
    suffix = ".onnx"
    computes = ()

    def __init__(self, calibrated: Calibrated) -> None:
        self._calibrated = calibrated

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write a Q/DQ graph."""
        made = to_qdq(self._calibrated.model, recipe, self._calibrated.ranges)
        with write_whole(path) as partial:
            partial.write_bytes(made.SerializeToString())

    def sensitivity(self) -> Mapping[Group, float]:
        """See `Calibrated.sensitivity`."""
        return self._calibrated.sensitivity()
