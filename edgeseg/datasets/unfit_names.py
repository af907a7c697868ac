"""Explains that no image has a mask of its name: how the names differ, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final

__all__ = ["explain_unfit_names"]

_MOST: Final = 32  # images, and as many masks, whose names are compared


def explain_unfit_names(images: Sequence[Path], masks: Sequence[Path]) -> str:
    """Name an image and a mask that may belong together, and the option or the remedy."""
    told = f"no image in {images[0].parent} has a mask of its name in {masks[0].parent}"
    for image, mask in product(images[:_MOST], masks[:_MOST]):
        pair = f"{mask.name} may be the mask of {image.name}"
        after = mask.stem.removeprefix(image.stem)
        if len(after) < len(mask.stem) and not after[:1].isdigit():
            sign = "=" if after.startswith("-") else " "
            return f"{told}; {pair}: say so with --mask-suffix{sign}{after or repr(after)}"
        before = mask.stem.removesuffix(image.stem)
        if len(before) < len(mask.stem) and not before[-1:].isdigit():
            return (
                f"{told}; {pair}, but has {before!r} before the image's name, for which there is "
                f"no option; rename the masks as their images, as {image.stem}{mask.suffix}"
            )
    return (
        f"{told}; of an image such as {images[0].name} and a mask such as {masks[0].name}, rename "
        f"the mask; if it has more after its image's name, --mask-suffix says what"
    )
