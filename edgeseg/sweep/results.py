"""What a sweep found, as one value that is written as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from edgeseg.accuracy.gates import Gate
from edgeseg.bundle.manifest import Machine
from edgeseg.reports.measured import Value
from edgeseg.reports.report import Data

__all__ = ["SCHEMA", "Row", "Status", "Sweep", "encode_sweep", "find_front"]

SCHEMA: Final = 1

Status = Literal["passed", "missed", "not judged", "failed"]


class Row(Value, frozen=True, kw_only=True):
    """A cell and what came of it. A field is None where it was not measured.

    `weights`, `target` and `precision` are what the plan asked for; `name` is the name of the
    cell's folders. `model` and `variant` are what the bundle holds, `height` and `width` its
    network's input in pixels, `bytes` the size of the files that the engine opens. `form` names the
    form of the network and `form_changes` says what it changes; both are None for the exact one.
    `macs` are the multiply-adds for one input.

    `status` is `passed`; `missed` if the bundle misses a gate, or if no variant passed and there
    is no bundle; `not judged` if no gate is missed and one could not be judged; `failed` if the
    cell could not be exported, measured or timed. `reason` explains every status but `passed`.

    `miou` and `drop` are points (0..100), with 95 % intervals from `_low` to `_high`. The drop is
    against the bundle's own float variant. `latency_ms` is the median time of a whole frame.
    `speedup` is how many times as fast as the first timed cell this one is: the median of the
    ratios of all rounds. `report` is the path of the cell's HTML page, relative to the sweep's
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
    form: str | None = None
    form_changes: str | None = None
    macs: int | None = None
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


class Sweep(Value, frozen=True, kw_only=True):
    """All cells of a plan, in its order, and what they were measured on.

    `created` is a time in UTC (ISO 8601). `frame` is the height and width in pixels of the image
    that was timed, `rounds` how often each cell took it. `tools` gives the version of each package.
    """

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
    """Encode a sweep as JSON, in UTF-8."""
    return msgspec.json.format(msgspec.json.encode(sweep), indent=1) + b"\n"


def find_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the Pareto front of (cost, accuracy) points; return their indices, the cheapest first.

    A point is on the front if no other point costs as little or less and is as accurate or more.
    Of equal points, all are on it.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        best = points[front[-1]] if front else None
        if best is None or points[index][1] > best[1] or points[index] == best:
            front.append(index)
    return front
