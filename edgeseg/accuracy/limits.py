"""The only list of limits: what a candidate may lose and cost.

Each limit is one field of `Limits`. Its line gives the default, the unit, the gate's name and the
help text. The command line's options, the keys of `edgeseg.toml`, the parameters in Python and the
gates of a report are all made from this list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from numbers import Real
from types import MappingProxyType
from typing import Any, Final, Literal

from edgeseg.errors import SpecError

__all__ = [
    "EVERYTHING",
    "LIMITS",
    "MIN_AGREEMENT_ALONE",
    "POINTS",
    "Bound",
    "Limit",
    "Limits",
    "Need",
    "decides",
    "name_option",
]

POINTS: Final = "points"
# In % of the pixels, where there is no ground truth; docs/accuracy.md explains the value.
MIN_AGREEMENT_ALONE: Final = 97.0
EVERYTHING: Final = 100.0  # points or %: no measured value exceeds it

Bound = Literal["at most", "at least"]
Need = Literal["data", "reference", "baseline", "corruptions", "bundle"]

_NOT_GIVEN: Final[Any] = object()
_HUNDREDTHS: Final = frozenset({POINTS, "%"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a limit is, apart from its name and its value.

    `gate` is the name that people read in a verdict. `unit` is the unit of both limit and value.
    Without a `default`, the limit is off until it is given. `needs` is what must be there for a
    verdict. An `optional` limit may stand in a file that several calls share: a call that does not
    measure it passes, with a note.
    """

    gate: str
    unit: str
    help: str
    default: float | None = None
    bound: Bound = "at most"
    needs: frozenset[Need] = frozenset()
    optional: bool = False

    def read(self, value: object, *, called: str) -> float:
        """Return a value as a float; `called` is the limit as the user wrote it.

        Raises:
            SpecError: the value is no number, or no measurement can have it.
        """
        if isinstance(value, bool) or not isinstance(value, Real):
            raise SpecError(f"{called} must be a number; got {value!r}")
        try:
            number = float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        if self.unit in _HUNDREDTHS:
            if not 0 <= number <= EVERYTHING:
                raise SpecError(f"{called} is 0 to {EVERYTHING:g} {self.unit}; got {number:g}")
        elif not 0 < number < math.inf:
            raise SpecError(f"{called} must be a finite number above 0; got {number:g}")
        return number


_DROP: Final = frozenset[Need]({"data", "reference"})
_REGRESSION: Final = frozenset[Need]({"data", "baseline"})
_BUNDLE: Final = frozenset[Need]({"bundle"})


def _define_limit(**about: Any) -> Any:  # noqa: ANN401  # as `dataclasses.field`, of which this is one
    return field(default=_NOT_GIVEN, metadata={"limit": Limit(**about)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be lost and spent. A limit that is not given has its default; None switches it off.

    Drops are points (0..100) lost against the reference, and need ground truth. `min_agreement`, in
    %, decides alone where there is no ground truth (it is 97 then), and beside the drops where it
    is given. Regressions are points lost beyond chance against a baseline. The extra drop is what a
    family of corruptions loses more than clean images do, in points. If more than `max_skipped` %
    of the images are skipped, nothing is judged. The latency ratio is candidate over reference;
    sizes and memory are in MB (10^6 bytes).

    `given` names the limits that were given: a verdict has to decide each of them.

    Raises:
        SpecError: a limit is out of range.
    """

    max_drop: float | None = _define_limit(
        gate="mIoU drop",
        default=1.0,
        unit=POINTS,
        needs=_DROP,
        help="Largest mIoU loss against the reference, in points.",
    )
    max_class_drop: float | None = _define_limit(
        gate="class IoU drop",
        default=5.0,
        unit=POINTS,
        needs=_DROP,
        help="Largest IoU loss of any class against the reference, in points.",
    )
    min_agreement: float | None = _define_limit(
        gate="pixel agreement",
        unit="%",
        bound="at least",
        needs=_DROP,
        help="Smallest share of pixels, in %, that must agree with the reference. "
        f"Without ground truth the default is {MIN_AGREEMENT_ALONE:g}.",
    )
    # Another CPU's rounding moves mIoU by some thousandths of a point.
    max_regression: float | None = _define_limit(
        gate="mIoU lost beyond chance",
        default=0.1,
        unit=POINTS,
        needs=_REGRESSION,
        optional=True,
        help="Largest mIoU loss beyond chance against --baseline, in points.",
    )
    max_class_regression: float | None = _define_limit(
        gate="class IoU lost beyond chance",
        default=1.0,
        unit=POINTS,
        needs=_REGRESSION,
        optional=True,
        help="Largest IoU loss of any class beyond chance against --baseline, in points.",
    )
    max_extra_drop: float | None = _define_limit(
        gate="extra mIoU drop",
        default=1.0,
        unit=POINTS,
        needs=_DROP | {"corruptions"},
        optional=True,
        help="Largest mIoU loss that a family of corruptions may add to the loss on clean "
        "images, in points.",
    )
    # Skipped images lose an unknown amount. To hide one point of mIoU, which is the limit on the
    # drop, one image in twenty would have to lose 20 points more than the others.
    max_skipped: float | None = _define_limit(
        gate="data set",
        default=5.0,
        unit="%",
        needs=frozenset({"data"}),
        optional=True,
        help="Largest share of images, in %, that may be skipped.",
    )
    max_latency_ratio: float | None = _define_limit(
        gate="latency ratio",
        unit="times the reference's",
        needs=_DROP,
        help="Longest time per frame, as a multiple of the reference's.",
    )
    max_size_mb: float | None = _define_limit(
        gate="size",
        unit="MB",
        needs=_BUNDLE,
        help="Largest total size of the files that the engine opens, in MB.",
    )
    max_memory_mb: float | None = _define_limit(
        gate="peak memory",
        unit="MB",
        needs=_BUNDLE,
        help="Largest peak memory of a process that segments frames, in MB.",
    )
    given: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = []
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if value is _NOT_GIVEN:
                object.__setattr__(self, name, limit.default)
            elif value is not None:
                object.__setattr__(self, name, limit.read(value, called=name))
                given.append(name)
        object.__setattr__(self, "given", frozenset(given))

    @classmethod
    def of(cls, values: Mapping[str, object], *, origin: str = "") -> Limits:
        """Read limits from a table or a command line; `origin` says where a table is from.

        Raises:
            SpecError: a name is no limit, or a value is not a number in range.
        """
        numbers = {}
        for name, value in values.items():
            if name not in LIMITS:
                near = get_close_matches(name, LIMITS, n=1)
                hint = f"; did you mean {near[0]}?" if near else "."
                raise SpecError(
                    f"{origin}{name} is not a limit{hint} Limits are {', '.join(LIMITS)}"
                )
            called = f"{origin}{name}" if origin else name_option(name)
            numbers[name] = LIMITS[name].read(value, called=called)
        return cls(**numbers)

    @property
    def values(self) -> dict[str, float | None]:
        """List every limit by name, in the order of the list, each in its own unit."""
        return {name: getattr(self, name) for name in LIMITS}

    @property
    def table(self) -> dict[str, float]:
        """List the limits that were given, by name, each in its own unit."""
        return {name: getattr(self, name) for name in LIMITS if name in self.given}

    def where_judgeable(self) -> Limits:
        """Return the same limits, but let a verdict leave out what it cannot decide."""
        same = Limits(**self.values)
        object.__setattr__(same, "given", frozenset())
        return same

    def replace(self, **changes: float | None) -> Limits:
        """Return these limits with some given anew, in the same units; defaults stay defaults."""
        off = {name: None for name, value in self.values.items() if value is None}
        return Limits(**{**off, **self.table, **changes})


LIMITS: Final[Mapping[str, Limit]] = MappingProxyType(
    {one.name: one.metadata["limit"] for one in fields(Limits) if one.init}
)


def name_option(limit: str) -> str:
    """Name the command line's option that sets a limit."""
    return f"--{limit.replace('_', '-')}"


def decides(limit: float | None) -> bool:
    """Say whether a limit in points or % can be missed: a limit of 100 cannot."""
    return limit is not None and limit < EVERYTHING
