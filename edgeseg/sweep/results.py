"""What a sweep found: one value that is written to JSON and read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from edgeseg.accuracy.gates import Gate
from edgeseg.bundle.manifest import Machine
from edgeseg.reports.report import Data

__all__ = ["SCHEMA", "Row", "Status", "Sweep", "encode_sweep", "find_front"]

SCHEMA: Final = 1

Status = Literal["passed", "missed", "not judged", "failed"]


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, and read from JSON with its types checked."""


class Row(_Value, frozen=True, kw_only=True):
    """A cell and what came of it.

    `precision` was asked for, `variant` is what runs. `missed` are gates that were not passed, or
    no variant passed them and there is no bundle; `not judged` cells missed no gate, and left
    something unjudged; `failed` cells tell their `reason`. Accuracies
    are points, `drop` is against the bundle's own float variant. `latency_ms` is the median of
    whole frames; `speedup`, the median of the rounds' ratios, is how many times as fast as the
    first cell with a latency it is. `report` is the cell's HTML page, relative to the sweep's
    folder.
    """

    name: str
    weights: str
    target: str
    precision: str
    status: Status
    reason: str | None = None
    model: str | None = None
    variant: str | None = None
    height: int | None = None
    width: int | None = None
    miou: float | None = None
    miou_low: float | None = None
    miou_high: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    bytes: int | None = None
    latency_ms: float | None = None
    speedup: float | None = None
    gates: tuple[Gate, ...] = ()
    report: str | None = None


class Sweep(_Value, frozen=True, kw_only=True):
    """All cells in the order of the plan; `frame` is the timed image's height and width."""

    schema: int = SCHEMA
    created: str
    data: Data
    frame: tuple[int, int]
    rounds: int
    machine: Machine
    tools: dict[str, str]
    rows: tuple[Row, ...]

    @property
    def failed(self) -> tuple[Row, ...]:
        """The cells that could not be measured."""
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def missed(self) -> tuple[Row, ...]:
        """The cells that missed a gate."""
        return tuple(row for row in self.rows if row.status == "missed")

    @property
    def unjudged(self) -> tuple[Row, ...]:
        """The cells of which something could not be judged."""
        return tuple(row for row in self.rows if row.status == "not judged")


def encode_sweep(sweep: Sweep) -> bytes:
    """Write a sweep as JSON."""
    return msgspec.json.format(msgspec.json.encode(sweep), indent=1) + b"\n"


def find_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the Pareto front: the indices of the (cost, accuracy) that no other point beats in both.

    The front goes from cheap to dear. Of equal points, all are on it.
    """
    found: list[int] = []
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        cost, accuracy = points[place]
        best = points[found[-1]] if found else (cost, -1.0)
        if accuracy > best[1] or (cost, accuracy) == best:
            found.append(place)
    return found
