"""Limits on what a candidate may lose and cost, and the verdict on each, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal

from edgeseg.accuracy.counts import MIN_CLASS_IMAGES, MIN_CLASS_SHARE
from edgeseg.bundle.manifest import Accuracy
from edgeseg.errors import SpecError

__all__ = [
    "DEFAULT_MAX_CLASS_DROP",
    "DEFAULT_MAX_CLASS_REGRESSION",
    "DEFAULT_MAX_DROP",
    "DEFAULT_MAX_EXTRA_DROP",
    "DEFAULT_MAX_REGRESSION",
    "DEFAULT_MAX_SKIPPED",
    "DEFAULT_MIN_AGREEMENT",
    "POINTS",
    "Gate",
    "Judged",
    "Limits",
    "Unjudged",
    "at_least",
    "at_most",
    "check_limit",
    "decides",
    "judge",
    "judge_accuracy",
    "no_class",
    "option",
    "worst_of",
]

POINTS: Final = "points"
DEFAULT_MAX_DROP: Final = 1.0  # mIoU points
DEFAULT_MAX_CLASS_DROP: Final = 5.0  # IoU points
# Without ground truth, in % of the pixels; what it stands for is in docs/accuracy.md.
DEFAULT_MIN_AGREEMENT: Final = 97.0
# Points lost for certain against a baseline. Another CPU's rounding moves mIoU by some thousandths.
DEFAULT_MAX_REGRESSION: Final = 0.1
DEFAULT_MAX_CLASS_REGRESSION: Final = 1.0
DEFAULT_MAX_EXTRA_DROP: Final = 1.0  # mIoU points, of a family of corruptions
# In % of the images. What is skipped loses an unknown amount: one image in twenty would have to
# lose 20 points more than the others to hide one point of mIoU, which is the limit on the drop.
DEFAULT_MAX_SKIPPED: Final = 5.0
_EVERYTHING: Final = 100.0  # points or %: nothing that is measured can be more


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be lost against the reference, in points (0..100). None switches a gate off.

    Drops need ground truth. `min_agreement` serves alone where there is none, and is asked for
    beside them. Regressions are against a baseline: what is lost beyond chance. The extra drop is
    what a family of corruptions loses more than clean images do. The skipped are a share of the
    images in %: above it nothing is judged. The latency ratio
    is candidate over reference; sizes and memory are in MB (10^6 bytes).
    """

    max_drop: float | None = DEFAULT_MAX_DROP
    max_class_drop: float | None = DEFAULT_MAX_CLASS_DROP
    min_agreement: float | None = None
    max_regression: float | None = DEFAULT_MAX_REGRESSION
    max_class_regression: float | None = DEFAULT_MAX_CLASS_REGRESSION
    max_extra_drop: float | None = DEFAULT_MAX_EXTRA_DROP
    max_skipped: float | None = DEFAULT_MAX_SKIPPED
    max_latency_ratio: float | None = None
    max_size_mb: float | None = None
    max_memory_mb: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                check_limit(field.name, value, called=field.name)


_COSTS: Final = frozenset({"max_latency_ratio", "max_size_mb", "max_memory_mb"})
_PERCENT: Final = frozenset({"min_agreement", "max_skipped"})


def check_limit(limit: str, value: float, *, called: str) -> None:
    """Refuse what no measurement could have; `called` is what its user knows the limit by.

    Raises:
        SpecError: it is out of range.
    """
    if limit in _COSTS and not 0 < value < math.inf:
        raise SpecError(f"{called} must be a finite number above 0; got {value:g}")
    if limit not in _COSTS and not 0 <= value <= 100:
        unit = "%" if limit in _PERCENT else POINTS
        raise SpecError(f"{called} is 0 to 100 {unit}; got {value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit and the value that was measured; `bound` is its kind of limit.

    Both are in `unit`, which is `points`, `%`, `MB` or `times the reference's`.
    """

    name: str
    limit: float
    value: float
    passed: bool
    bound: Literal["at most", "at least"] = "at most"
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """What no measurement here decides; `name` is a gate's, or what else the verdict needs."""

    name: str
    reason: str
    remedy: str

    @property
    def told(self) -> str:
        """Why, and what helps."""
        return f"{self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The gates that could be decided, and what could not."""

    gates: tuple[Gate, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()

    def __add__(self, other: Judged) -> Judged:
        return Judged(gates=self.gates + other.gates, unjudged=self.unjudged + other.unjudged)

    @property
    def misses(self) -> tuple[Gate, ...]:
        """The gates that were not passed."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def passed(self) -> bool | None:
        """Whether all was judged and kept; None where there was nothing to judge."""
        if not self.gates and not self.unjudged:
            return None
        return not self.misses and not self.unjudged


def at_most(name: str, value: float, limit: float, *, unit: str = "") -> Gate:
    """Pass where `value` is not above `limit`; a value that is not a number fails."""
    return Gate(name=name, limit=limit, value=value, passed=value <= limit, unit=unit)


def at_least(name: str, value: float, limit: float, *, unit: str = "") -> Gate:
    """Pass where `value` is not below `limit`; a value that is not a number fails."""
    return Gate(
        name=name, limit=limit, value=value, passed=value >= limit, bound="at least", unit=unit
    )


def judge(
    limits: Limits,
    *,
    drop: float | None,
    class_drops: Mapping[str, float],
    agreement: float,
    rare: str = "",
) -> Judged:
    """The limits on what is lost against a reference. All in points.

    Without a drop there is no ground truth, and agreement alone decides. Each of `class_drops`
    above the limit is a gate of its own, or else the worst is the one; where there is none, the
    limit on classes is not judged: all are too `rare`, which says which and how.
    """
    gates = []
    unjudged = []
    if limits.max_drop is not None and drop is not None:
        gates.append(at_most("mIoU drop", drop, limits.max_drop, unit=POINTS))
    if limits.max_class_drop is not None:
        gates += worst_of("class IoU drop", class_drops, limits.max_class_drop)
        if drop is not None and not class_drops and decides(limits.max_class_drop):
            unjudged.append(no_class("class IoU drop", "max_class_drop", rare=rare))
    least = limits.min_agreement
    if least is None and drop is None:
        least = DEFAULT_MIN_AGREEMENT
    if least is not None:
        gates.append(at_least("pixel agreement", agreement, least, unit="%"))
    return Judged(gates=tuple(gates), unjudged=tuple(unjudged))


def decides(limit: float | None) -> bool:
    """Whether a limit on points or % can be missed: one that allows everything needs no judge."""
    return limit is not None and limit < _EVERYTHING


def no_class(name: str, limit: str, *, rare: str = "") -> Unjudged:
    """A limit on classes where each is too `rare` to tell; that says which and how."""
    return Unjudged(
        name=name,
        reason=f"no class is in {MIN_CLASS_IMAGES} images with {100 * MIN_CLASS_SHARE:g} % of the "
        f"pixels{rare and f' ({rare})'}",
        remedy=f"measure more images, or allow any loss with {option(limit)} {_EVERYTHING:g}",
    )


def option(limit: str) -> str:
    """By which the command line sets it."""
    return f"--{limit.replace('_', '-')}"


def judge_accuracy(accuracy: Accuracy, limits: Limits) -> Judged:
    """Those of a variant, of whose classes only the worst is known."""
    name, worst = accuracy.worst_class, accuracy.worst_class_drop
    return judge(
        limits,
        drop=accuracy.drop,
        class_drops={} if name is None or worst is None else {name: worst},
        agreement=accuracy.pixel_agreement,
    )


def worst_of(title: str, values: Mapping[str, float], limit: float) -> list[Gate]:
    """A gate for each value above the limit, the largest first; where none is, for the largest.

    Values and limit are in points.
    """
    ordered = sorted(values.items(), key=lambda item: -item[1])
    gates = [at_most(f"{title} ({name})", value, limit, unit=POINTS) for name, value in ordered]
    return [gate for gate in gates if not gate.passed] or gates[:1]
