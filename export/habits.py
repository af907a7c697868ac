"""Says what a framework does with a frame where no file says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, Aspect, PerChannel, Resize

__all__ = ["Habits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """A framework's usual way from a frame to the network's input.

    `mean` and `std` are of RGB in 0..1. `side` is the input's, in pixels; None where it depends on
    the classes. The framework takes sides that are multiples of `multiple` only.
    """

    resize: Resize
    aspect: Aspect
    mean: PerChannel = IMAGENET_MEAN
    std: PerChannel = IMAGENET_STD
    side: int | None = None
    multiple: int = 1
