"""An image to learn from, as the network sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edgeseg.pixels import ClassMap, Frame

__all__ = ["Example", "Read"]


@dataclass(frozen=True, slots=True)
class Example:
    """A network's input, uint8 (1, H, W, C), and its ground truth, class ids (H, W), if known.

    Ids at or above the number of classes are not counted. With `align_corners` the network's outer
    logits lie over the outer pixels of the truth; see `edgeseg.spec.Upsampling`.
    """

    frame: Frame
    truth: ClassMap | None = None
    align_corners: bool = False


Read: TypeAlias = Callable[[], Example]
