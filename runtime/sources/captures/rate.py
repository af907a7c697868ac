"""Reads a capture's frame rate, where it is plausible."""

from __future__ import annotations

from typing import Any, Final

from edgeseg.runtime.sources.captures import properties

__all__ = ["find_rate", "read_rate"]

# The rate assumed for a camera that does not give its own.
_UNKNOWN_FPS: Final = 30.0


def find_rate(device: Any) -> float | None:  # noqa: ANN401  # cv2.VideoCapture
    """Find a capture's frames a second; None where its answer is not plausible."""
    fps = float(device.get(properties.FPS))
    return fps if 0 < fps < 1000 else None  # some drivers answer 0 or 90000


def read_rate(device: Any) -> float:  # noqa: ANN401  # cv2.VideoCapture
    """Read a capture's frames a second; 30 where its answer is not plausible."""
    return find_rate(device) or _UNKNOWN_FPS
