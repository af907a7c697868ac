"""Pairs images with their masks, and names the files that are left over."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from edgeseg.datasets.items import FilePair, Unpaired

__all__ = ["pair_up"]


def pair_up(
    pairs: Iterable[FilePair], *, masks: Container[Path] | None = None
) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    """Return the complete pairs, in their order, and the images without a mask of their own.

    `masks` are the mask files that exist; None asks for each, which takes long over a network.
    Images that share a mask, as a.jpg and a.png do, are not paired: nobody knows on which of them
    the mask was drawn.
    """
    claims: dict[str, list[FilePair]] = {}
    for pair in pairs:
        claims.setdefault(str(pair.mask_path), []).append(pair)
    complete, left = [], []
    for claimants in claims.values():
        mask = claimants[0].mask_path
        there = mask.exists() if masks is None else mask in masks
        reason = _find_fault(claimants, there=there)
        if reason is None:
            complete += claimants
        else:
            left.append(Unpaired(name=claimants[0].name, reason=reason))
    return tuple(complete), tuple(left)


def _find_fault(claimants: list[FilePair], *, there: bool) -> str | None:
    first, *others = claimants
    if others:
        names = ", ".join(pair.image_path.name for pair in others)
        return f"{first.image_path} has the same name as {names}; keep the one that the mask is of"
    if not there:
        return f"{first.image_path} has no mask; there is no {first.mask_path}"
    return None
