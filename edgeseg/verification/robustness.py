"""Measures whether corrupted images cost a candidate more than they cost its reference.

A quantized model can be as accurate as before on clean images, and still be worse in rain. Both
models see each corruption at every severity. Accuracy is averaged over a family's kinds and
severities, as Kamann and Rother 2020 (arXiv:1908.05005) average over those of a kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import msgspec
import numpy as np

from edgeseg.accuracy.bootstrap import MIN_IMAGES, Points, draw_drops, find_joint_intervals
from edgeseg.accuracy.gates import Judged, make_worst_gates
from edgeseg.accuracy.limits import Limits
from edgeseg.accuracy.metrics import mean_iou
from edgeseg.corruptions import FAMILIES, SEVERITIES, find_family
from edgeseg.errors import DatasetError
from edgeseg.progress import Progress
from edgeseg.reports.measured import CorruptionResult, FamilyResult
from edgeseg.verification.measuring import Corruption, Measurement, Share, Shares, join_shares

__all__ = ["Robustness", "judge_robustness", "measure_robustness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """The results of every kind and severity, and of each family."""

    corruptions: tuple[CorruptionResult, ...]
    families: tuple[FamilyResult, ...]


def measure_robustness(
    clean: Measurement, names: Sequence[str], shares: Shares, progress: Progress
) -> Robustness:
    """Count the clean measurement's images again under each of the named corruptions.

    Each corruption leaves only its accuracy and the draws of its interval, so memory does not grow
    with the data set.

    Raises:
        DatasetError: an image can no longer be read.
        EdgesegError: whatever `shares` raises.
    """
    items = [measured.item for measured in clean.share.measured]
    labels = clean.counts.labels
    steps = [Corruption(*pair) for pair in product(names, SEVERITIES)]
    results, drawn = [], []
    for done, corruption in enumerate(steps):
        progress.part("corruptions", done, len(steps))
        found = join_shares(shares(items, corruption), labels)
        _check_same(clean.share, found)
        result, draws = _make_result(corruption, found, progress)
        results.append(result)
        drawn.append(draws)
    progress.part("corruptions", len(steps), len(steps))
    return Robustness(
        corruptions=tuple(results), families=tuple(_make_families(clean.share, results, drawn))
    )


def judge_robustness(families: Sequence[FamilyResult], limits: Limits) -> Judged:
    """Make a gate for each family that loses more than the limit, or for the worst family."""
    if limits.max_extra_drop is None:
        return Judged()
    extra = {f.name: f.extra_drop for f in families if f.extra_drop is not None}
    return Judged(gates=tuple(make_worst_gates("max_extra_drop", extra, limits.max_extra_drop)))


def _check_same(clean: Share, found: Share) -> None:
    """Check that the images are the same: intervals are paired by image."""
    if [one.sha256 for one in found.measured] != [one.sha256 for one in clean.measured]:
        reason = found.skipped[0].reason if found.skipped else "a file was changed"
        raise DatasetError(f"the images are no longer those that were measured clean: {reason}")


def _make_result(
    corruption: Corruption, found: Share, progress: Progress
) -> tuple[CorruptionResult, Points | None]:
    counts = found.counts
    miou = mean_iou(counts.candidate.total)
    result = CorruptionResult(
        name=corruption.name,
        family=find_family(corruption.name),
        severity=corruption.severity,
        miou=miou,
    )
    if not counts.reference.images:
        return result, None
    reference_miou = mean_iou(counts.reference.total)
    compared = msgspec.structs.replace(
        result, reference_miou=reference_miou, drop=reference_miou - miou
    )
    sides = counts.reference.tally, counts.candidate.tally
    return compared, draw_drops(*sides, progress=progress)


def _make_families(
    clean: Share, results: Sequence[CorruptionResult], drawn: Sequence[Points | None]
) -> Iterator[FamilyResult]:
    """Make the results of the families that were measured, in their order."""
    names = [name for name in FAMILIES if any(result.family == name for result in results)]
    members = {name: [i for i, r in enumerate(results) if r.family == name] for name in names}
    extra = _compute_extra_drops(clean, results, drawn, list(members.values()))
    for place, name in enumerate(names):
        own = [results[index] for index in members[name]]
        mean = FamilyResult(
            name=name,
            corruptions=tuple(dict.fromkeys(result.name for result in own)),
            miou=_average([result.miou for result in own]),
        )
        if extra is None:
            yield mean
            continue
        reference = _average([result.reference_miou for result in own])
        value, *ends = map(float, extra[place])
        low, high = ends if len(clean.measured) >= MIN_IMAGES else (None, None)
        yield msgspec.structs.replace(
            mean,
            reference_miou=reference,
            drop=reference - mean.miou,
            extra_drop=value,
            extra_low=low,
            extra_high=high,
        )


def _compute_extra_drops(
    clean: Share,
    results: Sequence[CorruptionResult],
    drawn: Sequence[Points | None],
    members: Sequence[Sequence[int]],
) -> Points | None:
    """Compute each family's extra drop and interval, (families, 3); None without a reference."""
    draws = [one for one in drawn if one is not None]
    if not draws:
        return None
    own, theirs = clean.counts.candidate, clean.counts.reference
    clean_drop = mean_iou(theirs.total) - mean_iou(own.total)
    clean_draws = draw_drops(theirs.tally, own.tally)
    points = np.array(
        [_average([results[index].drop for index in family]) - clean_drop for family in members]
    )
    spread = np.stack(
        [np.mean([draws[index] for index in family], axis=0) - clean_draws for family in members],
        axis=1,
    )
    intervals = find_joint_intervals(points, spread, np.ones(len(points), np.bool_))
    return np.concatenate([points[:, None], intervals], axis=1)


def _average(values: Sequence[float | None]) -> float:
    """Average values, none of which may be None."""
    return float(np.mean([value for value in values if value is not None]))
