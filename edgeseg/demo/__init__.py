"""Drawn streets with ground truth: frames and masks for when nobody gave any.

A camera drives along a street; what it sees is drawn, so what each pixel is, is known. The drive is
deterministic, smooth from frame to frame, without end, at any size, and made with NumPy alone.
"""

from __future__ import annotations

from typing import Final

from edgeseg.demo.scenes import FPS, Scene, scene

__all__ = ["DEMO", "FPS", "Scene", "scene"]

# What weights, data sets and sources that come with edgeseg are called in its place.
DEMO: Final = "demo"
