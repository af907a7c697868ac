"""Confusions and masks that are drawn from a seed, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeseg.accuracy.metrics import iou
from edgeseg.reports.measured import (
    ClassDrop,
    ClassResult,
)

_RARE = 0.6  # % of the pixels


def draw_accuracy(names: tuple[str, ...], *, compared: bool, harm: float) -> dict[str, Any]:
    """Confusions of two models, and what follows from them."""
    theirs = _confusion(len(names), mistakes=0.22)
    own = move_pixels(theirs, harm=harm)
    values, reference = 100 * iou(own), 100 * iou(theirs)
    pixels = own.sum(axis=1)
    shares = 100 * pixels / pixels.sum()
    drops = reference - values
    classes = [
        ClassResult(
            name=name, share=float(shares[n]), images=233 if shares[n] > _RARE else 3,
            counted=bool(shares[n] > _RARE), iou=float(values[n]),
            **({
                "reference_iou": float(reference[n]), "drop": float(drops[n]),
                "drop_low": float(drops[n] - 0.3 - 0.4 * abs(drops[n])),
                "drop_high": float(drops[n] + 0.3 + 0.5 * abs(drops[n])),
            } if compared else {}),
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    miou = float(np.nanmean(values))
    alone = {
        "classes": tuple(classes), "confusion": _rows(own), "miou": miou,
        "miou_low": miou - 1.9, "miou_high": miou + 2.1,
    }  # fmt: skip
    if not compared:
        return alone
    drop = float(np.nanmean(drops))
    worst = max((c for c in classes if c.counted), key=lambda c: c.drop or 0.0)
    return alone | {
        "reference_confusion": _rows(theirs), "agreement_confusion": _rows(own),
        "reference_miou": miou + drop, "drop": drop, "drop_low": 0.7 * drop - 0.05,
        "drop_high": 1.4 * drop + 0.05, "pixel_agreement": 98.37, "agreement_iou": 91.06,
        "worst_class": ClassDrop(name=worst.name, drop=worst.drop or 0.0),
    }  # fmt: skip


def _confusion(classes: int, *, mistakes: float) -> np.ndarray:
    random = np.random.default_rng(1)
    pixels = np.sort(random.lognormal(13, 1.6, classes))[::-1]
    wrong = random.dirichlet(np.full(classes, 0.3), classes)
    rates = mistakes * random.uniform(0.2, 1.6, classes)
    shares = np.eye(classes) * (1 - rates)[:, None] + wrong * rates[:, None]
    return (shares * pixels[:, None]).astype(np.int64)


def move_pixels(counts: np.ndarray, *, harm: float) -> np.ndarray:
    """Some of each class's right pixels go to others, and some wrong ones come back."""
    random = np.random.default_rng(2)
    moved = counts.copy()
    classes = len(counts)
    for row in range(classes):
        share = harm * random.normal(0.03, 0.05)
        others = random.dirichlet(np.full(classes, 0.2)) * counts[row, row] * share
        step = np.maximum(others.astype(np.int64), -moved[row])
        step[row] = 0
        moved[row] += step
        moved[row, row] -= step.sum()
    return moved


def _rows(counts: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in counts.tolist())


def wear_mask(mask: np.ndarray, reach: int, seed: int) -> np.ndarray:
    """Each block of pixels is taken from a place nearby, as a coarse network's mask would be."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices(mask.shape)
    size = max(4, mask.shape[0] // 30)
    blocks = (mask.shape[0] // size + 1, mask.shape[1] // size + 1)
    shifts = random.integers(-reach, reach + 1, (2, *blocks))
    down, across = (shift[rows // size, columns // size] for shift in shifts)
    return mask[
        np.clip(rows + down, 0, mask.shape[0] - 1), np.clip(columns + across, 0, mask.shape[1] - 1)
    ]
