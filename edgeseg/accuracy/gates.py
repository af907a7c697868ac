"""Judges what was measured against each limit, or says why there is no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edgeseg.accuracy.counts import MIN_CLASS_IMAGES, MIN_CLASS_SHARE
from edgeseg.accuracy.limits import (
    EVERYTHING,
    LIMITS,
    MIN_AGREEMENT_ALONE,
    Bound,
    Limits,
    decides,
    name_option,
)
from edgeseg.bundle.manifest import Accuracy

__all__ = [
    "BASELINE_CLASSES",
    "GOLDEN",
    "VARIANT",
    "Gate",
    "Judged",
    "Unjudged",
    "apply_limit",
    "at_least",
    "at_most",
    "judge",
    "judge_accuracy",
    "make_unjudged",
    "make_unjudged_classes",
    "make_worst_gates",
]

# Keys of gates that no field of `Limits` decides.
GOLDEN: Final = "golden"
BASELINE_CLASSES: Final = "baseline_classes"
VARIANT: Final = "variant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit and the value that was measured; `bound` is its kind of limit.

    Both are in `unit`, which is `points`, `%`, `MB` or `times the reference's`, and empty for a
    count. `key` says what made the gate: the name of a field of `Limits`, `golden` (a golden frame)
    or `baseline_classes` (classes of the baseline that are missing). Programs compare keys; `name`
    is for people, and may be worded anew. A report from before there were keys has empty ones.
    """

    name: str
    key: str = ""
    limit: float
    value: float
    passed: bool
    bound: Bound = "at most"
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """What no measurement here decides.

    `key` is the name of a field of `Limits`, or `variant` (the chosen variant does not run here).
    `name` is for people.
    """

    name: str
    key: str = ""
    reason: str
    remedy: str

    @property
    def told(self) -> str:
        """The reason, and what helps."""
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


def at_most(name: str, value: float, limit: float, *, key: str, unit: str = "") -> Gate:
    """Pass where `value` is not above `limit`; a value that is not a number fails."""
    return Gate(name=name, key=key, limit=limit, value=value, passed=value <= limit, unit=unit)


def at_least(name: str, value: float, limit: float, *, key: str, unit: str = "") -> Gate:
    """Pass where `value` is not below `limit`; a value that is not a number fails."""
    passed = value >= limit
    return Gate(
        name=name, key=key, limit=limit, value=value, passed=passed, bound="at least", unit=unit
    )


def apply_limit(key: str, value: float, limit: float, *, of: str = "") -> Gate:
    """Compare a value with the limit `key`; `of` names the class or the family it is about."""
    about = LIMITS[key]
    name = f"{about.gate} ({of})" if of else about.gate
    compare = at_most if about.bound == "at most" else at_least
    return compare(name, value, limit, key=key, unit=about.unit)


def make_unjudged(key: str, *, reason: str, remedy: str) -> Unjudged:
    """Say that the limit `key` decides nothing, and why."""
    return Unjudged(name=LIMITS[key].gate, key=key, reason=reason, remedy=remedy)


def judge(
    limits: Limits,
    *,
    drop: float | None,
    class_drops: Mapping[str, float],
    agreement: float,
    rare: str = "",
) -> Judged:
    """Judge the limits on what is lost against a reference; all values are points.

    Without a `drop` there is no ground truth, and `agreement` alone decides. Each of `class_drops`
    above the limit is a gate of its own; if none is above, the worst class is the gate. If there
    are no class drops, all classes are too rare and the limit on classes is not judged. `rare`
    names the classes that are too rare, and says how rare they are.
    """
    gates = []
    unjudged = []
    if limits.max_drop is not None and drop is not None:
        gates.append(apply_limit("max_drop", drop, limits.max_drop))
    if limits.max_class_drop is not None:
        gates += make_worst_gates("max_class_drop", class_drops, limits.max_class_drop)
        if drop is not None and not class_drops and decides(limits.max_class_drop):
            unjudged.append(make_unjudged_classes("max_class_drop", rare=rare))
    least = limits.min_agreement
    if least is None and drop is None:
        least = MIN_AGREEMENT_ALONE
    if least is not None:
        gates.append(apply_limit("min_agreement", agreement, least))
    return Judged(gates=tuple(gates), unjudged=tuple(unjudged))


def make_unjudged_classes(key: str, *, rare: str = "") -> Unjudged:
    """Say that a limit on classes is not judged: each class is too rare, as `rare` tells."""
    return make_unjudged(
        key,
        reason=f"no class is in {MIN_CLASS_IMAGES} images with {100 * MIN_CLASS_SHARE:g} % of the "
        f"pixels{rare and f' ({rare})'}",
        remedy=f"measure more images, or allow any loss with {name_option(key)} {EVERYTHING:g}",
    )


def judge_accuracy(accuracy: Accuracy, limits: Limits) -> Judged:
    """Judge the accuracy of a variant, of whose classes only the worst is known."""
    name, worst = accuracy.worst_class, accuracy.worst_class_drop
    return judge(
        limits,
        drop=accuracy.drop,
        class_drops={} if name is None or worst is None else {name: worst},
        agreement=accuracy.pixel_agreement,
    )


def make_worst_gates(key: str, values: Mapping[str, float], limit: float) -> list[Gate]:
    """Make a gate for each value above the limit, the largest first, or else for the largest value.

    Values and limit are in points.
    """
    ordered = sorted(values.items(), key=lambda item: -item[1])
    gates = [apply_limit(key, value, limit, of=name) for name, value in ordered]
    return [gate for gate in gates if not gate.passed] or gates[:1]
