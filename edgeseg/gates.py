"""Limits on what a candidate may lose, and the verdict on each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_MAX_CLASS_DROP", "DEFAULT_MAX_DROP", "Gate", "at_least", "at_most"]

DEFAULT_MAX_DROP = 1.0  # mIoU points
DEFAULT_MAX_CLASS_DROP = 5.0  # IoU points


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
