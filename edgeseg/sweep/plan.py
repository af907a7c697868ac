"""A plan says what a sweep is asked for, and lists its cells."""

from __future__ import annotations

import os
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

__all__ = ["Cell", "Plan", "explain_not_measurable", "list_cells"]

_UNFIT_FOR_NAMES: Final = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to combine, how to export and measure each combination, and where to write.

    Every combination of `weights` (checkpoints, as `edgeseg export` takes them), `targets`,
    `precisions` and `sizes` is a cell. Sizes are (height, width) in pixels; None is the
    checkpoint's own size. `export` and `verify` hold the options that all cells share: `export_of`
    and `verify_of` fill in what differs. `folder` takes the overview and the files of all cells.

    Raises:
        SpecError: there is no data set, or `export` and `verify` name different ones; an axis is
            empty, or holds a value twice.
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
                raise SpecError(f"a sweep has no {option}; give at least one")
            for value in values:
                if values.count(value) > 1:
                    shown = _name_size(value) if isinstance(value, tuple) else value
                    raise SpecError(f"{option} {shown} is given twice; give it once")

    @property
    def data(self) -> str:
        """The data set that all cells are measured on."""
        assert self.export.data is not None, "a plan has a data set"
        return self.export.data

    def bundle_of(self, name: str) -> Path:
        """Name the folder of the bundle of the cell that is called `name`."""
        return self.folder / "bundles" / name

    def reports_of(self, name: str) -> Path:
        """Name the folder of the report of the cell that is called `name`."""
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

        The verdict leaves out what a bundle cannot be judged by: one in FP32 has no drop.
        """
        return replace(
            self.verify,
            source=str(self.bundle_of(cell.name)),
            report=self.reports_of(cell.name),
            limits=self.verify.limits.where_judgeable(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of a plan's values.

    `name` is unique in the plan, and names the cell's folders. `size` is (height, width) in pixels;
    None is the checkpoint's own.
    """

    name: str
    weights: str
    target: str
    precision: str
    size: tuple[int, int] | None


def list_cells(plan: Plan) -> tuple[Cell, ...]:
    """List all combinations; the last axis (sizes) changes fastest."""
    stems = _name_weights(plan.weights)
    return tuple(
        Cell(
            name=f"{stems[weights]}-{target}-{precision}-{_name_size(size)}",
            weights=weights,
            target=target,
            precision=precision,
            size=size,
        )
        for weights, target, precision, size in product(
            plan.weights, plan.targets, plan.precisions, plan.sizes
        )
    )


def explain_not_measurable(cell: Cell) -> str | None:
    """Explain why a cell can never be measured on this machine; None where it may be."""
    target = find_target(cell.target)
    if target.on_device:
        return (
            f"a bundle for {target.title} is measured on the {target.title}: "
            f"edgeseg verify BUNDLE --data DATASET"
        )
    return refuse_precision(target, cell.precision)


def _name_weights(weights: tuple[str, ...]) -> dict[str, str]:
    """Give each checkpoint a short name; a hash tells equal names apart."""
    stems = {
        source: _UNFIT_FOR_NAMES.sub("_", Path(source).name) or "weights" for source in weights
    }
    shared = Counter(stem.casefold() for stem in stems.values())
    return {
        source: stem
        if shared[stem.casefold()] == 1
        else f"{stem}-{sha256(os.fsencode(source)).hexdigest()[:6]}"
        for source, stem in stems.items()
    }


def _name_size(size: tuple[int, int] | None) -> str:
    return "own" if size is None else f"{size[0]}x{size[1]}"
