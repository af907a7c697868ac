"""What is asked of an export: as its user gives it, and with everything filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeseg.accuracy.limits import Limits, option
from edgeseg.calibration.sets import DEFAULT_COUNT
from edgeseg.datasets import Dataset
from edgeseg.demo import DEMO
from edgeseg.errors import SpecError
from edgeseg.labels import Labels
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.quantize.recipes import Recipe
from edgeseg.segformer.arch import VARIANTS
from edgeseg.targets import DEFAULT_TARGET, TARGETS, find_target, refuse_precision
from edgeseg.text import join_words

__all__ = ["DEFAULT_BUDGET_S", "PRECISIONS", "ExportOptions", "ExportRequest"]

DEFAULT_BUDGET_S: Final = 20 * 60.0
PRECISIONS: Final = ("auto", "fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What `edgeseg export`, a sweep or `edgeseg.export_model` is given; see the command's options.

    `model` is the variant that `weights` must be of; the demo's, `b0`, needs none. `size` is height
    and width in pixels. `calibration` and `data` are sources by name. `budget_s` is in seconds.

    Raises:
        SpecError: the options do not fit together, or one is unknown.
    """

    weights: str | None = None
    model: str | None = None
    target: str = DEFAULT_TARGET
    precision: str = "auto"
    size: tuple[int, int] | None = None
    labels: str | None = None
    overrides: Overrides = NO_OVERRIDES
    calibration: str | None = None
    calibration_images: int = DEFAULT_COUNT
    data: str | None = None
    split: str | None = None
    limits: Limits = field(default_factory=Limits)
    budget_s: float = DEFAULT_BUDGET_S
    recipe: str | None = None
    sensitivity: bool = False
    folder: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        known = {"target": TARGETS, "precision": PRECISIONS, "model": (None, *VARIANTS)}
        for name, values in known.items():
            value = getattr(self, name)
            if value not in values:
                raise SpecError(f"{name} {value!r} is not one of {', '.join(filter(None, values))}")
        _check_precision(self.target, self.precision)
        if self.split is not None and self.data is None:
            raise SpecError("--split is of --data; add --data DATASET")
        if self.recipe is not None and self.precision not in {"auto", "int8"}:
            raise SpecError(f"--recipe is for INT8, and {self.precision} was asked for")
        on_truth = [name for name in ("max_drop", "max_class_drop") if name in self.limits.given]
        if on_truth and self.data is None and self.weights not in {None, DEMO}:
            raise SpecError(
                f"{option(on_truth[0])} needs images with ground truth; add --data DATASET"
            )


def _check_precision(target: str, precision: str) -> None:
    """Refuse what the target is never exported in, and name what is."""
    row = find_target(target)
    refused = refuse_precision(row, precision)
    if refused is not None:
        able = [other.name for other in TARGETS.values() if precision in other.precisions]
        raise SpecError(
            f"{refused}; ask for {join_words(('auto', *row.precisions), 'or')}, "
            f"or for --target {join_words(able, 'or')}"
        )


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
