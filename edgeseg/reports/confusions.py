"""Finds which classes a model takes for which others, or takes more often than its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgeseg.reports.report import Report

__all__ = ["Move", "Moves", "find_moves"]

Shares = npt.NDArray[np.float64]  # (classes, classes), % of a row's pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Pixels of class `source` that were given to class `target`.

    `pixels` is their number, or how many more (or fewer, if negative) they are than with the
    reference. `share` is the same in % of the source's pixels.
    """

    source: str
    target: str
    pixels: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """All moves between classes, and the `largest` of them, the largest first.

    `shares[s][t]` is the share of the pixels of class `s` that were given to class `t`, in %. The
    diagonal is what a class lost to all others (negative) or gained. `source` says where the
    classes of the rows come from:

    - `truth`, with `compared`: the shares are the candidate's less the reference's;
    - `truth`, without `compared`: they are the candidate's mistakes;
    - `reference`: they are the pixels whose class differs from the reference's.
    """

    source: str
    compared: bool
    shares: Shares
    largest: tuple[Move, ...]


def find_moves(report: Report, *, most: int = 10) -> Moves | None:
    """Find all moves and the `most` largest; None where the report has no confusion matrix."""
    names = [result.name for result in report.classes]
    own, theirs = _to_counts(report.confusion), _to_counts(report.reference_confusion)
    if not own.size:
        between = _to_counts(report.agreement_confusion)
        if not between.size:
            return None
        return _compute_moves("reference", between, np.diag(between.sum(axis=1)), names, most)
    perfect = np.diag(own.sum(axis=1))
    found = _compute_moves("truth", own, theirs if theirs.size else perfect, names, most)
    return replace(found, compared=bool(theirs.size))


def _to_counts(rows: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    return np.array(rows, np.int64)


def _compute_moves(
    source: str,
    own: npt.NDArray[np.int64],
    expected: npt.NDArray[np.int64],
    names: Sequence[str],
    most: int,
) -> Moves:
    change = own - expected
    shares = 100 * change / np.maximum(own.sum(axis=1), 1)[:, None]
    moved = np.where(np.eye(len(names), dtype=bool), 0, change)
    largest = np.argsort(-np.abs(moved), axis=None, kind="stable")[:most]
    return Moves(
        source=source,
        compared=False,
        shares=shares,
        largest=tuple(
            Move(
                source=names[row],
                target=names[column],
                pixels=int(change[row, column]),
                share=float(shares[row, column]),
            )
            for row, column in (divmod(int(place), len(names)) for place in largest)
            if moved[row, column]
        ),
    )
