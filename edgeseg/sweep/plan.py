"""What a sweep is asked for, and the cells that it consists of."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Final

from edgeseg.accuracy.limits import Limits
from edgeseg.calibration.sets import DEFAULT_COUNT
from edgeseg.deploy.request import DEFAULT_BUDGET_S
from edgeseg.errors import SpecError
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.targets import find_target, refuse_precision
from edgeseg.verification.request import check_threads

__all__ = ["Cell", "Plan", "cells_of", "hindrance"]

_NO_FILE_NAME: Final = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every combination of `weights`, `targets`, `precisions` and `sizes` is a cell.

    Sizes are height and width, None for the checkpoint's own. The rest is as `edgeseg export` and
    `edgeseg verify` take it; `folder` holds a folder for each cell, and the overview.
    """

    weights: tuple[str, ...]
    targets: tuple[str, ...]
    precisions: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    data: str
    folder: Path
    split: str | None = None
    labels: str | None = None
    overrides: Overrides = NO_OVERRIDES
    calibration: str | None = None
    calibration_images: int = DEFAULT_COUNT
    limits: Limits = field(default_factory=Limits)
    budget_s: float = DEFAULT_BUDGET_S
    dask: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        axes = {
            "--weights": self.weights,
            "--target": self.targets,
            "--precision": self.precisions,
            "--size": self.sizes,
        }
        check_threads(self.threads)
        for option, values in axes.items():
            if not values:
                raise SpecError(f"a sweep needs at least one {option}")
            if len(set(values)) < len(values):
                raise SpecError(f"a {option} of the sweep is given twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination; `name` is its folder's."""

    name: str
    weights: str
    target: str
    precision: str
    size: tuple[int, int] | None


def cells_of(plan: Plan) -> tuple[Cell, ...]:
    """All combinations, the last axis (sizes) changing fastest."""
    stems = _stems(plan.weights)
    return tuple(
        Cell(
            name=f"{stems[weights]}-{target}-{precision}-{_size_name(size)}",
            weights=weights,
            target=target,
            precision=precision,
            size=size,
        )
        for weights, target, precision, size in product(
            plan.weights, plan.targets, plan.precisions, plan.sizes
        )
    )


def hindrance(cell: Cell) -> str | None:
    """Why a cell can never be measured here, known before anything is exported."""
    target = find_target(cell.target)
    if target.on_device:
        return (
            f"a bundle for {target.title} is measured on the {target.title}: "
            f"edgeseg verify BUNDLE --data DATASET"
        )
    return refuse_precision(target, cell.precision)


def _stems(weights: tuple[str, ...]) -> dict[str, str]:
    """A short name for each, told apart by a hash where two would be the same."""
    stems = {source: _NO_FILE_NAME.sub("_", Path(source).name) or "weights" for source in weights}
    shared = Counter(stem.casefold() for stem in stems.values())
    return {
        source: stem
        if shared[stem.casefold()] == 1
        else f"{stem}-{sha256(source.encode()).hexdigest()[:6]}"
        for source, stem in stems.items()
    }


def _size_name(size: tuple[int, int] | None) -> str:
    return "own" if size is None else f"{size[0]}x{size[1]}"
