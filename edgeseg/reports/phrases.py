"""Puts a report's numbers, gates and verdict into words, the same in every form of report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from edgeseg.accuracy.bootstrap import MIN_IMAGES
from edgeseg.accuracy.counts import MIN_CLASS_IMAGES, MIN_CLASS_SHARE
from edgeseg.accuracy.gates import BASELINE_CLASSES, Gate
from edgeseg.reports.measured import ClassResult, FamilyResult
from edgeseg.reports.report import Comparison, Report, Subject
from edgeseg.segformer.form import EXACT, describe_form, format_macs
from edgeseg.text import pluralize, to_plain

__all__ = [
    "MINUS",
    "NOTHING",
    "NOT_JUDGED",
    "GateWords",
    "describe_gate",
    "describe_network",
    "describe_networks",
    "describe_rarity",
    "explain_doubt",
    "explain_not_counted",
    "find_limit",
    "format_cost",
    "format_count",
    "format_interval",
    "format_number",
    "format_signed",
    "judge_brittleness",
    "name_subject",
    "name_verdict",
    "shorten",
    "to_plain",
    "write_headline",
    "write_summary",
]

NOTHING: Final = "\N{EN DASH}"  # stands where nothing was measured
NOT_JUDGED: Final = "NOT JUDGED"
MINUS: Final = "\N{MINUS SIGN}"
_MOST_DIGITS: Final = 6
_LONGEST_GATE: Final = 160  # characters; one gate's name lists all classes that are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWords:
    """A gate in words, without units. `limit` begins with `at most` or `at least`.

    `unit` may be empty.
    """

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
    """Format a number, with a comma after thousands; a dash for None."""
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
    """Format a time, a size or a memory; whole numbers, as bytes are, get no fraction."""
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
    """Find the limit of the gate that is called `key`, in its unit; None without such a gate."""
    return next((gate.limit for gate in report.gates if gate.key == key), None)


def name_verdict(report: Report) -> str:
    """Name the verdict in a word; where nothing was judged, nothing has passed."""
    if report.misses:
        return "FAILED"
    if report.unjudged:
        return NOT_JUDGED
    return "PASSED" if report.gates else "MEASURED"


def write_headline(report: Report) -> str:
    """Say how many gates passed, were missed or were not judged."""
    count, missed = len(report.gates), len(report.misses)
    parts = []
    if missed:
        parts.append(f"{missed} of {pluralize(count, 'gate')} missed")
    elif count:
        parts.append(f"{count} of {pluralize(count, 'gate')} passed")
    if report.unjudged:
        parts.append(f"{len(report.unjudged)} not judged")
    return ", ".join(parts) or "nothing was judged, because no limit applies"


def write_summary(report: Report) -> str:
    """Say in one sentence what was found. No word of it comes from outside."""
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


def describe_network(subject: Subject) -> str:
    """Describe the form of the network that was measured; empty where an old report has none."""
    if subject.macs is None:
        told = "" if subject.form is None else f"form {subject.form}"
    elif subject.exact_macs is None:
        told = f"the network as published ({format_macs(subject.macs)})"
    else:
        name, exact = subject.form or EXACT.name, subject.exact_macs
        told = describe_form(name, subject.form_changes, macs=subject.macs, exact_macs=exact)
        told = f"form {told}"
    return to_plain(told)


def describe_networks(report: Report) -> dict[str, str]:
    """Describe the networks of candidate, reference and baseline, as far as the report has them.

    The baseline's is left out where it is the candidate's.
    """
    before = None if report.baseline is None else report.baseline.subject
    sides = {"candidate": report.candidate, "reference": report.reference, "baseline": before}
    told = {side: describe_network(one) for side, one in sides.items() if one is not None}
    if told.get("baseline") == told["candidate"]:
        del told["baseline"]
    return {side: words for side, words in told.items() if words}


def explain_doubt(found: Comparison) -> str:
    """Explain why no change can be certain; empty where one can be."""
    if found.images >= MIN_IMAGES:
        return ""
    return (
        f"Only {pluralize(found.images, 'image')} can be compared with the baseline: no change is "
        f"called certain and no regression is judged below {MIN_IMAGES}."
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
    """Explain why no gate looks at a class; None where one does."""
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
        return f"{result.name} in {pluralize(result.images, 'image')}"
    return f"{result.name} on {format_number(result.share, 3)} % of the pixels"


def _look_alike(gate: Gate, digits: int) -> bool:
    return format_number(gate.value, digits) == format_number(gate.limit, digits)
