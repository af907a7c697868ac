"""Judges what was measured: each limit is kept, missed, or not judged for a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgeseg.accuracy.counts import MIN_CLASS_IMAGES, MIN_CLASS_SHARE
from edgeseg.accuracy.gates import Judged, judge, make_unjudged
from edgeseg.accuracy.limits import LIMITS, Limits, decides, name_option
from edgeseg.errors import NotJudgedError
from edgeseg.reports.measured import ClassResult
from edgeseg.reports.phrases import describe_rarity
from edgeseg.reports.report import Comparison, Noted, Report
from edgeseg.text import list_some
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.subjects import BundleModel, Model

__all__ = ["check_can_judge", "judge_coverage", "judge_drops", "list_notes", "name_rare_classes"]

_MOST_NAMES: Final = 10


def check_can_judge(request: VerifyRequest, candidate: Model, *, compared: bool) -> None:
    """Refuse a limit that the user set and nothing can decide, before hours are spent.

    `compared` says whether there is a reference.

    Raises:
        NotJudgedError: the limit needs a bundle or a reference, and there is none.
    """
    of_bundle = sorted(name for name in request.limits.given if "bundle" in LIMITS[name].needs)
    if of_bundle and not isinstance(candidate, BundleModel):
        raise NotJudgedError(
            f"not judged: {name_option(of_bundle[0])} is for a bundle, and {candidate.name} is not "
            f"one; export it, and verify the bundle"
        )
    against = sorted(name for name in request.limits.given if "reference" in LIMITS[name].needs)
    if against and not compared:
        raise NotJudgedError(
            f"not judged: {name_option(against[0])} needs a reference, and {candidate.name} has "
            f"none of its own; add --reference BUNDLE or CHECKPOINT"
        )


def judge_drops(report: Report, limits: Limits) -> Judged:
    """Judge what is lost against the reference; without a reference, judge nothing."""
    if report.reference is None or report.pixel_agreement is None:
        return Judged()
    return judge(
        limits,
        drop=report.drop,
        class_drops={c.name: c.drop for c in report.classes if c.counted and c.drop is not None},
        agreement=report.pixel_agreement,
        rare=name_rare_classes(report.classes),
    )


def judge_coverage(measured: int, skipped: Sequence[Noted], limits: Limits) -> Judged:
    """Judge whether enough images were measured for a verdict on the data set."""
    share = 100 * len(skipped) / (measured + len(skipped)) if skipped else 0.0
    limit = limits.max_skipped
    if limit is None or share <= limit:
        return Judged()
    first = skipped[0]
    return Judged(
        unjudged=(
            make_unjudged(
                "max_skipped",
                reason=f"{len(skipped)} of {measured + len(skipped)} images were skipped, "
                f"{share:.1f} % and not at most {limit:g} %, the first: {first.name}: "
                f"{first.reason}",
                remedy=f"restore them, or allow more with {name_option('max_skipped')} PERCENT",
            ),
        )
    )


def name_rare_classes(classes: Sequence[ClassResult]) -> str:
    """Name the classes that are in the truth, but too rarely for a limit; empty where none is."""
    return list_some(
        [describe_rarity(result) for result in classes if result.images and not result.counted],
        _MOST_NAMES,
    )


def list_notes(report: Report, limits: Limits) -> tuple[str, ...]:
    """Note what was measured but has no limit."""
    notes = []
    compared = report.reference is not None or report.baseline is not None
    if report.data is not None and not compared:
        notes.append(
            "accuracy is measured and not judged, for there is nothing to compare it with; add "
            "--reference BUNDLE or CHECKPOINT, or --baseline REPORT.json"
        )
    rare = name_rare_classes(report.classes)
    if rare and compared and _looks_at_classes(report.baseline, limits):
        notes.append(
            f"no limit looks at classes in fewer than {MIN_CLASS_IMAGES} images or below "
            f"{100 * MIN_CLASS_SHARE:g} % of the pixels, whose IoU is noise: {rare}"
        )
    return tuple(notes)


def _looks_at_classes(baseline: Comparison | None, limits: Limits) -> bool:
    drop = limits.max_class_drop
    return decides(drop) or (baseline is not None and decides(limits.max_class_regression))
