"""Which images have their mask, and which files are left over."""

from __future__ import annotations

from collections.abc import Iterable

from edgeseg.datasets.items import FilePair, Unpaired

__all__ = ["pair_up"]


def pair_up(pairs: Iterable[FilePair]) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    """The pairs that are complete, in their order, and the images of the others.

    Images that share a mask (as a.jpg and a.png do) are none: which one it was drawn on is unknown.
    """
    claims: dict[str, list[FilePair]] = {}
    for pair in pairs:
        claims.setdefault(str(pair.mask_path), []).append(pair)
    complete, left = [], []
    for claimants in claims.values():
        reason = _fault(claimants)
        if reason is None:
            complete += claimants
        else:
            left.append(Unpaired(name=claimants[0].name, reason=reason))
    return tuple(complete), tuple(left)


def _fault(claimants: list[FilePair]) -> str | None:
    first, *others = claimants
    if others:
        names = ", ".join(pair.image_path.name for pair in others)
        return f"{first.image_path} has the same name as {names}; keep the one that the mask is of"
    if not first.mask_path.exists():
        return f"{first.image_path} has no mask; there is no {first.mask_path}"
    return None
