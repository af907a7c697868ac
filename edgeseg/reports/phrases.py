"""Words a report's numbers, gates and verdict, alike in all of its forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgeseg.accuracy.bootstrap import MIN_IMAGES
from edgeseg.accuracy.counts import MIN_CLASS_IMAGES, MIN_CLASS_SHARE
from edgeseg.accuracy.gates import BASELINE_CLASSES, Gate
from edgeseg.reports.measured import ClassResult, FamilyResult
from edgeseg.reports.report import Comparison, Report, Subject
from edgeseg.text import pluralize, to_plain

__all__ = [
    "MINUS",
    "NOTHING",
    "NOT_JUDGED",
    "GateWords",
    "judge_brittleness",
    "format_cost",
    "explain_doubt",
    "write_headline",
    "describe_gate",
    "format_interval",
    "find_limit",
    "format_number",
    "to_plain",
    "describe_rarity",
    "shorten",
    "format_signed",
    "list_some",
    "name_subject",
    "write_summary",
    "name_verdict",
    "format_count",
    "explain_not_counted",
]

NOTHING: Final = "\N{EN DASH}"  # stands where nothing was measured
NOT_JUDGED: Final = "NOT JUDGED"
MINUS: Final = "\N{MINUS SIGN}"
_MOST_DIGITS: Final = 6
_MOST_NAMES: Final = 10
_LONGEST_GATE: Final = 160  # characters; one holds the names of all classes that are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWords:
    """A gate in words; `limit` also says on which side it lies; the unit may be empty."""

    name: str
    value: str
    limit: str
    unit: str
    passed: bool

    @property
    def value_in_units(self) -> str:
        """The value with its unit, for a line of text."""
        return f"{self.value} {self.unit}".rstrip()

    @property
    def limit_in_units(self) -> str:
        """The limit with its unit, for a line of text."""
        return f"{self.limit} {self.unit}".rstrip()

    @property
    def verdict(self) -> str:
        """The verdict in one word."""
        return "passed" if self.passed else "missed"


def shorten(text: str, longest: int) -> str:
    """Make one line, cut where it is longer than `longest` characters."""
    shown = to_plain(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def format_number(value: float | None, digits: int = 2) -> str:
    """Format a number, with thousands marked; a dash for None."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "not a number"
    text = f"{value:,.{digits}f}"
    if not any(digit in text for digit in "123456789") and math.isfinite(value):
        text = text.lstrip("-")  # -0.00
    return text.replace("-", MINUS)


def format_signed(value: float | None, digits: int = 2) -> str:
    """Format a change; an increase has a plus sign."""
    text = format_number(value, digits)
    return text if value is None or not value > 0 else f"+{text}"


def format_count(value: int | None) -> str:
    """Format a count."""
    return format_number(value, 0)


def format_cost(value: float) -> str:
    """Format time, bytes or memory; bytes are whole and need no fraction."""
    return format_number(value, 0 if value == int(value) else 1)


def format_interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Format an interval from low to high; a dash for None."""
    if low is None or high is None:
        return NOTHING
    return f"{format_number(low, digits)} to {format_number(high, digits)}"


def describe_gate(gate: Gate) -> GateWords:
    """Put a gate into words, with enough digits to tell value and limit apart."""
    digits = 2
    while digits < _MOST_DIGITS and gate.value != gate.limit and _look_alike(gate, digits):
        digits += 1
    if gate.key == BASELINE_CLASSES:  # a count
        digits = 0
    return GateWords(
        name=shorten(gate.name, _LONGEST_GATE),
        value=format_number(gate.value, digits),
        limit=f"{gate.bound} {format_number(gate.limit, digits)}",
        unit=gate.unit,
        passed=gate.passed,
    )


def find_limit(report: Report, key: str) -> float | None:
    """Find the value of the limit `key`, in its unit; None where it judged nothing."""
    return next((gate.limit for gate in report.gates if gate.key == key), None)


def name_verdict(report: Report) -> str:
    """Name the verdict in words; where nothing was judged, nothing has passed."""
    if report.misses:
        return "FAILED"
    if report.unjudged:
        return NOT_JUDGED
    return "PASSED" if report.gates else "MEASURED"


def write_headline(report: Report) -> str:
    """Say how many gates passed, were missed or were not judged."""
    count, missed = len(report.gates), len(report.misses)
    gates = "gate" if count == 1 else "gates"
    if not count and not report.unjudged:
        return "nothing was judged, for no limit applies"
    told = f"{missed} of {count} {gates} missed" if missed else f"{count} of {count} {gates} passed"
    if not report.unjudged:
        return told
    left = f"{len(report.unjudged)} not judged"
    return f"{told}, {left}" if count else left


def write_summary(report: Report) -> str:
    """Say in one sentence what was found, in our own words and numbers only."""
    images = pluralize(report.images, "image")
    if report.data is None:
        return "No data set was measured: the verdict rests on the bundle's golden frames alone."
    if report.drop is not None:
        verb = "gains" if report.drop < 0 else "loses"
        side = "over" if report.drop < 0 else "against"
        low, high = report.drop_low, report.drop_high
        spread = "" if low is None else f" (95 % interval of the drop {format_interval(low, high)})"
        return (
            f"The candidate {verb} {format_number(abs(report.drop))} mIoU points {side} the "
            f"reference{spread} on {images}."
        )
    if report.miou is not None:
        return (
            f"The candidate reaches {format_number(report.miou)} mIoU points on {images}; there is "
            f"no reference to compare it with."
        )
    return (
        f"The candidate gives {format_number(report.pixel_agreement)} % of the pixels the "
        f"reference's class on {images}; there is no ground truth."
    )


def name_subject(subject: Subject) -> str:
    """Name a subject, its variant and the precision."""
    inside = ", ".join(dict.fromkeys(filter(None, (subject.variant, subject.precision))))
    return to_plain(f"{subject.name} ({inside})")


def explain_doubt(found: Comparison) -> str:
    """Say why no change is called certain; empty where one may be."""
    if found.images >= MIN_IMAGES:
        return ""
    return (
        f"On {found.images} of the images that both have no change is called certain, and no "
        f"regression is judged: it takes {MIN_IMAGES}."
    )


def judge_brittleness(family: FamilyResult) -> str:
    """Say whether corruptions cost the candidate more than they cost the reference."""
    low, high = family.extra_low, family.extra_high
    if family.extra_drop is None:
        return NOTHING
    if low is None or high is None:
        return "too few images to tell"
    if low > 0:
        return "more brittle"
    return "less brittle" if high < 0 else "no difference beyond chance"


def explain_not_counted(result: ClassResult) -> str | None:
    """Say why no gate looks at a class; None where one does."""
    if result.counted:
        return None
    if result.iou is None and result.reference_iou is None:
        return "in no truth and no prediction"
    if not result.images:
        return "in no truth"
    if result.images < MIN_CLASS_IMAGES:
        return f"in fewer than {MIN_CLASS_IMAGES} images"
    return f"below {100 * MIN_CLASS_SHARE:g} % of the pixels"


def describe_rarity(result: ClassResult) -> str:
    """Name a class that no gate looks at, and say how rarely it occurs."""
    if result.images < MIN_CLASS_IMAGES:
        return f"{result.name} in {result.images} image{'' if result.images == 1 else 's'}"
    return f"{result.name} on {format_number(result.share, 3)} % of the pixels"


def list_some(names: Sequence[str]) -> str:
    """List the first few names, and say how many more there are."""
    more = len(names) - _MOST_NAMES
    return f"{', '.join(names[:_MOST_NAMES])}{f' and {more} more' if more > 0 else ''}"


def _look_alike(gate: Gate, digits: int) -> bool:
    return format_number(gate.value, digits) == format_number(gate.limit, digits)
