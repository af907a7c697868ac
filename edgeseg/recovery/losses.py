"""What a training minimizes: how far logits are from a teacher's, and from ground truth."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["find_cross_entropy", "find_divergence"]


def find_divergence(found: Tensor, wanted: Tensor) -> Tensor:
    """Find the Kullback-Leibler divergence of the classes' shares, of logits (1, classes, h, w).

    The loss of Hinton et al. 2015 (Distilling the Knowledge, arXiv:1503.02531) at temperature 1. A
    pixel of the teacher's class with n pixels counts by one over the root of n, because mIoU counts
    classes alike.
    """
    lost = functional.kl_div(
        found.log_softmax(1), wanted.log_softmax(1), reduction="none", log_target=True
    ).sum(1)
    classes = wanted.argmax(1)
    counts = torch.bincount(classes.flatten(), minlength=wanted.shape[1]).clamp(min=1)
    weights = counts.to(wanted.dtype).rsqrt()[classes]
    return (lost * weights).sum() / weights.sum()


def find_cross_entropy(found: Tensor, truth: Tensor, *, align_corners: bool = False) -> Tensor:
    """Find the mean cross-entropy of logits (1, classes, h, w) with class ids (H, W), int64.

    Each logit is compared with the id at its middle; with `align_corners`, the middles of the outer
    logits are those of the outer ids. Ids that are no class are not counted; of such ids alone, the
    result is 0.
    """
    classes, height, width = found.shape[1:]
    rows, columns = (
        _find_middles(count, whole, align_corners=align_corners).to(truth.device)
        for count, whole in zip((height, width), truth.shape, strict=True)
    )
    ids = truth[rows[:, None], columns]
    known = ids < classes
    if not known.any():
        return found.sum() * 0
    return functional.cross_entropy(found[0].permute(1, 2, 0)[known], ids[known])


def _find_middles(count: int, whole: int, *, align_corners: bool) -> Tensor:
    """Find where, among `whole` ids, the middles of `count` logits lie."""
    if align_corners and count > 1:
        return (torch.arange(count) * ((whole - 1) / (count - 1)) + 0.5).long()
    return ((torch.arange(count) + 0.5) * (whole / count)).long()
