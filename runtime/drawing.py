"""What a device that makes whole frames draws of them."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.runtime.legend import Legend

__all__ = ["Drawing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The overlay of each frame, in the colors of a legend.

    Where it is only `encoded`, it comes back as NV12, half the bytes of BGR, and no CPU converts
    its colors.
    """

    legend: Legend
    encoded: bool = False
