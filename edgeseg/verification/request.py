"""What is asked of `edgeseg verify`, and whether it makes sense before anything is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeseg.accuracy.gates import Limits, option
from edgeseg.errors import SpecError
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.spec import MIN_SIDE_PX
from edgeseg.verification.protocols import PROTOCOLS

__all__ = ["CONDITIONAL", "COST_LIMITS", "DROP_LIMITS", "MOST_THREADS", "Asked", "undecided"]

DROP_LIMITS: Final = frozenset({"max_drop", "max_class_drop", "min_agreement"})
_REGRESSIONS: Final = frozenset({"max_regression", "max_class_regression"})
_EXTRA: Final = "max_extra_drop"
_SKIPPED: Final = "max_skipped"
# Limits on what a call may not look at: of no use without it, where a file keeps them.
CONDITIONAL: Final = _REGRESSIONS | {_EXTRA, _SKIPPED}
MOST_THREADS: Final = 256  # each takes memory, and an engine that starts them hears no signal
COST_LIMITS: Final = frozenset({"max_latency_ratio", "max_size_mb", "max_memory_mb"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A bundle or checkpoint (`source`), what to measure it on, and what to compare it with.

    `limits` may hold defaults; `given` names those that were set on purpose, which have to be
    decided. Without a `reference` a bundle's own float variant is one. A checkpoint is also
    measured at `short_sides`, in pixels. `corruptions` are names of `edgeseg.corruptions`, `dask`
    is a scheduler's address, `threads` are the engine's, all cores where it is None. `report` is a
    folder; `notes` are for it. `overrides` go before what a checkpoint among the two says of its
    input.
    """

    source: str
    data: str | None = None
    split: str | None = None
    reference: str | None = None
    baseline: Path | None = None
    protocol: str = "ss"
    limits: Limits = field(default_factory=Limits)
    given: frozenset[str] = frozenset()
    short_sides: tuple[int, ...] = ()
    corruptions: tuple[str, ...] = ()
    dask: str | None = None
    threads: int | None = None
    overrides: Overrides = NO_OVERRIDES
    strict: bool = False
    report: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needs_data = {
            "--reference": self.reference is not None,
            "--split": self.split is not None,
            "--baseline": self.baseline is not None,
            "--short-sides": bool(self.short_sides),
            "--strict": self.strict,
            "--corruptions": bool(self.corruptions),
            "--dask": self.dask is not None,
            f"--protocol {self.protocol}": self.protocol != "ss",
        }
        if self.protocol not in PROTOCOLS:
            raise SpecError(f"protocol {self.protocol!r} is not one of {', '.join(PROTOCOLS)}")
        small = [side for side in self.short_sides if side < MIN_SIDE_PX]
        if small:
            raise SpecError(f"--short-sides are {MIN_SIDE_PX} pixels or more; got {small[0]}")
        lacking = [option for option, there in needs_data.items() if there]
        if self.dask is not None and self.short_sides:
            raise SpecError("--short-sides are measured in this process; leave --dask out")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise SpecError(f"--threads is 1 to {MOST_THREADS}; got {self.threads}")
        idle = sorted(
            self.given
            & undecided(data=self.data, baseline=self.baseline, corruptions=self.corruptions)
        )
        if idle and self.data is not None:
            what = (
                "corrupted images; add --corruptions all"
                if idle[0] == _EXTRA
                else "an earlier report; add --baseline REPORT.json"
            )
            raise SpecError(f"{option(idle[0])} needs {what}")
        if self.data is None and (lacking or idle):
            needy = lacking[0] if lacking else option(idle[0])
            raise SpecError(f"{needy} needs images with ground truth; add --data DATASET")


def undecided(
    *, data: str | None, baseline: Path | None, corruptions: Sequence[str]
) -> frozenset[str]:
    """The limits that cannot be decided without a data set, a baseline, or corruptions."""
    lacking = frozenset[str]() if corruptions else frozenset({_EXTRA})
    if baseline is None:
        lacking |= _REGRESSIONS
    if data is not None:
        return lacking
    return lacking | DROP_LIMITS | _REGRESSIONS | {"max_latency_ratio", _SKIPPED}
