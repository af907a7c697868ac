"""What a sweep is asked for, and its cells."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Final

from edgeseg.deploy.request import ExportOptions
from edgeseg.errors import SpecError
from edgeseg.targets import find_target, refuse_precision
from edgeseg.verification.request import VerifyRequest

__all__ = ["Cell", "Plan", "list_cells", "explain_hindrance"]

_NO_FILE_NAME: Final = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every combination of `weights`, `targets`, `precisions` and `sizes` is a cell.

    Sizes are height and width in pixels; None is the checkpoint's own size. `export` and `verify`
    are the same for all cells, except for these four values, the bundle and the report. `export_of`
    and `verify_of` fill in those of a cell. `folder` holds a folder for each cell, and the
    overview.
    """

    weights: tuple[str, ...]
    targets: tuple[str, ...]
    precisions: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    export: ExportOptions
    verify: VerifyRequest
    folder: Path

    def __post_init__(self) -> None:
        axes = {
            "--weights": self.weights,
            "--target": self.targets,
            "--precision": self.precisions,
            "--size": self.sizes,
        }
        if self.export.data is None or self.export.data != self.verify.data:
            raise SpecError("a sweep exports and measures on one data set; add --data DATASET")
        for option, values in axes.items():
            if not values:
                raise SpecError(f"a sweep needs at least one {option}")
            if len(set(values)) < len(values):
                raise SpecError(f"a {option} of the sweep is given twice")

    @property
    def data(self) -> str:
        """The data set that all cells are measured on."""
        assert self.export.data is not None, "a plan has a data set"
        return self.export.data

    def bundle_of(self, name: str) -> Path:
        """Return the folder of a cell's bundle."""
        return self.folder / "bundles" / name

    def reports_of(self, name: str) -> Path:
        """Return the folder of a cell's report."""
        return self.folder / "reports" / name

    def export_of(self, cell: Cell) -> ExportOptions:
        """Make the export options of a cell."""
        return replace(
            self.export,
            weights=cell.weights,
            target=cell.target,
            precision=cell.precision,
            size=cell.size,
            folder=self.bundle_of(cell.name),
        )

    def verify_of(self, cell: Cell) -> VerifyRequest:
        """Make the request to measure a cell's bundle.

        A bundle in FP32 has no reference, and no drop to judge.
        """
        return replace(
            self.verify,
            source=str(self.bundle_of(cell.name)),
            report=self.reports_of(cell.name),
            limits=self.verify.limits.where_judgeable(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination; `name` is the name of its folder."""

    name: str
    weights: str
    target: str
    precision: str
    size: tuple[int, int] | None


def list_cells(plan: Plan) -> tuple[Cell, ...]:
    """List all combinations; the last axis (sizes) changes fastest."""
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


def explain_hindrance(cell: Cell) -> str | None:
    """Say why a cell can never be measured here, before anything is exported."""
    target = find_target(cell.target)
    if target.on_device:
        return (
            f"a bundle for {target.title} is measured on the {target.title}: "
            f"edgeseg verify BUNDLE --data DATASET"
        )
    return refuse_precision(target, cell.precision)


def _stems(weights: tuple[str, ...]) -> dict[str, str]:
    """Give each model a short name; a hash tells equal names apart."""
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
