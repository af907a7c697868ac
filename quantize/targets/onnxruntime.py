"""ONNX files for ONNX Runtime; attention as one node, INT8 as Q/DQ with our ranges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgeseg.files.whole import write_file
from edgeseg.quantize.attention import fuse_attention
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.qdq import QDQ_ROLES, to_qdq
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.maker import Effort, Job, Tools
from edgeseg.runtime.backends.backend import Backend, open_artifact
from edgeseg.segformer.groups import Group

__all__ = [
    "EFFORT",
    "RECIPES",
    "ROLES",
    "OrtQuantizer",
    "check",
    "convert",
    "float_types",
    "open_to_prove",
    "prepare",
]


ROLES: Final = QDQ_ROLES
EFFORT: Final = Effort(calibration=2.1)  # docs/decisions/0012-calibration-in-one-pass.md


def convert(graph: Path) -> Path:
    """See `Maker`. The artifact is an ONNX file, too."""
    import onnx

    write_file(graph, fuse_attention(onnx.load(graph)).SerializeToString())
    return graph


def float_types() -> tuple[str, ...]:
    """See `Maker`."""
    return ("f32",)


def prepare(job: Job) -> Tools:
    """See `Maker`."""
    if job.calibrate is None:
        return Tools(floats=job.floats, quantizer=None)
    return Tools(floats=job.floats, quantizer=OrtQuantizer(job.calibrate(find_taps(job.graph))))


def open_to_prove(path: Path, compute: str, *, logits_shape: tuple[int, ...] | None) -> Backend:
    """See `Maker`. What runs it proves it."""
    return open_artifact("onnxruntime", path, logits_shape=logits_shape, compute=compute)


def check(path: Path) -> None:
    """See `Maker`. ONNX Runtime has read the file, and knows no further rule."""


class OrtQuantizer:
    """Q/DQ for ONNX Runtime, with our ranges."""

    computes = ()

    def __init__(self, calibrated: Calibrated) -> None:
        self._calibrated = calibrated

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write a Q/DQ graph."""
        made = to_qdq(self._calibrated.model, recipe, self._calibrated.ranges)
        write_file(path, fuse_attention(made).SerializeToString())

    def int8_share(self, path: Path) -> float:
        """See `Quantizer`."""
        return int8_share(path)

    def sensitivity(self) -> Mapping[Group, float]:
        """See `Calibrated.sensitivity`."""
        return self._calibrated.sensitivity()
