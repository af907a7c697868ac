"""Limits and recipes of small searches."""

from __future__ import annotations

from pathlib import Path

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.progress import Progress
from edgeseg.quantize.recipes import RECIPES

LENIENT = Limits(max_drop=60, max_class_drop=None)


# INT8 of a network with random weights may give other masks, by up to a point, where only the order
# of sums differs. Calibrated on so many scenes, all forms of its graph agree as a device's must.
STEADY = 10


LINEAR = (RECIPES["int8-linear"],)


def make_request(checkpoint: Path, street: Path, folder: Path) -> ExportRequest:
    """A small export of INT8 by one recipe."""
    return ExportRequest(
        weights=str(checkpoint),
        target="onnxruntime",
        folder=folder,
        dataset=open_dataset(street, split="test"),
        calibration=str(street),
        precision="int8",
        recipes=LINEAR,
        limits=LENIENT,
    )


def export(request: ExportRequest) -> tuple[Bundle, list[str]]:
    lines: list[str] = []
    return export_bundle(request, progress=Progress(say=lines.append)).bundle, lines
