"""What is asked of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeseg.accuracy.limits import Limits
from edgeseg.calibration.sets import DEFAULT_COUNT
from edgeseg.datasets import Dataset
from edgeseg.labels import Labels
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.quantize.recipes import Recipe

__all__ = ["DEFAULT_BUDGET_S", "ExportRequest"]

DEFAULT_BUDGET_S: Final = 20 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, and to where: {variant}-{target}-{precision} unless `folder` says.

    Under that name a bundle of something else is replaced with `force` only.

    `half_weights` stores the FP32 weights as FP16, cast on load: half the bytes. Without a
    `calibration` no INT8 is tried, without `recipes` all that have a name are; without images to
    measure on, FP32 alone is made, and `fp32_reason` says why. The `sensitivity` of each group is
    measured when it is needed, or asked for. `overrides` go before what the checkpoint says of its
    input. `notes` are told once the checkpoint is known to be usable.
    """

    weights: str
    target: str
    folder: Path | None = None
    force: bool = False
    variant: str | None = None
    size: tuple[int, int] | None = None
    labels: Labels | None = None
    overrides: Overrides = NO_OVERRIDES
    dataset: Dataset | None = None
    half_weights: bool = False
    precision: str = "fp32"
    fp32_reason: str = "fp32 was asked for"
    calibration: str | None = None
    calibration_images: int = DEFAULT_COUNT
    estimator: str = "percentile"
    recipes: Sequence[Recipe] | None = None
    limits: Limits = field(default_factory=Limits)
    budget_s: float = DEFAULT_BUDGET_S
    sensitivity: bool = False
    notes: tuple[str, ...] = ()
