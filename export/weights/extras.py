"""Tells tensors that are clearly no part of a network: losses, metrics, helpers of training."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from edgeseg.export.weights.names import Leaf, read_leaf

__all__ = ["describe_statistics", "is_extra", "is_statistic", "list_names"]

# A part of a dotted name, in small letters.
_EXTRA: Final = re.compile(
    r"criterion\w*|criteria|\w*loss(es|_?fn|_?func\w*)?(_?\d+|_.*)?"
    r"|(.*_)?(metrics?|m?iou|jaccard|dice|acc|accuracy|precision|recall|f1|confmat)(_.*)?"
    r"|(.*_)?confusion_?\w*|aux(iliary)?(_.*|head|\d+)?|teacher(_.*)?|discriminator(_.*)?"
    r"|(class|pos)_weights?|n_averaged|total_ops|total_params"
)
# The buffers in which programs keep the statistics of their images.
_STATISTIC: Final = re.compile(r"(.*\.)?(pixel_|image_|img_)?(mean|std)")
_FEW: Final = 16  # channels, at most, of which a line can show a statistic


def is_extra(name: str) -> bool:
    """Tell whether a tensor is of a loss, a metric, an auxiliary head or another network."""
    return any(_EXTRA.fullmatch(part) for part in name.lower().split("."))


def is_statistic(name: str) -> bool:
    """Tell whether a tensor is a mean or standard deviation of images."""
    return _STATISTIC.fullmatch(name) is not None


def describe_statistics(found: dict[str, Leaf]) -> tuple[str, ...]:
    """Say that a file keeps statistics of images as tensors, which edgeseg does not use."""
    shown = []
    for name, leaf in found.items():
        values = read_leaf(leaf).flatten()[:_FEW].double().tolist()
        shown.append(f"{name} {','.join(f'{value:.4g}' for value in values)}")
    if not shown:
        return ()
    line = (
        f"the file keeps {' and '.join(shown)} beside the network's weights; edgeseg does not use "
        f"them: if they normalize the input, give --mean and --std"
    )
    return (line,)


def list_names(names: Collection[str] | Iterable[str], most: int = 5) -> str:
    """List the first names, with dots where there are more."""
    listed = list(names)
    return f"{', '.join(listed[:most])}{', ...' if len(listed) > most else ''}"
