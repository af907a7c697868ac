"""Limits on what a candidate may lose, and the verdict on each."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.manifest import Accuracy

__all__ = [
    "DEFAULT_MAX_CLASS_DROP",
    "DEFAULT_MAX_DROP",
    "DEFAULT_MIN_AGREEMENT",
    "Gate",
    "Limits",
    "at_least",
    "at_most",
    "judge",
]

DEFAULT_MAX_DROP = 1.0  # mIoU points
DEFAULT_MAX_CLASS_DROP = 5.0  # IoU points
# Without ground truth, in % of the pixels; what it stands for is in docs/accuracy.md.
DEFAULT_MIN_AGREEMENT = 97.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be lost against the reference, in points (0..100). None switches a gate off.

    Drops need ground truth. `min_agreement` serves alone where there is none, and is asked for
    beside them.
    """

    max_drop: float | None = DEFAULT_MAX_DROP
    max_class_drop: float | None = DEFAULT_MAX_CLASS_DROP
    min_agreement: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit and the value that was measured, in the unit of the limit."""

    name: str
    limit: float
    value: float
    passed: bool


def at_most(name: str, value: float, limit: float) -> Gate:
    """Pass where `value` is not above `limit`; a value that is not a number fails."""
    return Gate(name=name, limit=limit, value=value, passed=value <= limit)


def at_least(name: str, value: float, limit: float) -> Gate:
    """Pass where `value` is not below `limit`; a value that is not a number fails."""
    return Gate(name=name, limit=limit, value=value, passed=value >= limit)


def judge(accuracy: Accuracy, limits: Limits) -> tuple[Gate, ...]:
    """Every gate that can be decided with what was measured; at least one."""
    gates = []
    if limits.max_drop is not None and accuracy.drop is not None:
        gates.append(at_most("mIoU drop", accuracy.drop, limits.max_drop))
    if limits.max_class_drop is not None and accuracy.worst_class_drop is not None:
        worst = f"class IoU drop ({accuracy.worst_class})"
        gates.append(at_most(worst, accuracy.worst_class_drop, limits.max_class_drop))
    least = limits.min_agreement
    if least is None and accuracy.drop is None:
        least = DEFAULT_MIN_AGREEMENT
    if least is not None:
        gates.append(at_least("pixel agreement", accuracy.pixel_agreement, least))
    return tuple(gates)
