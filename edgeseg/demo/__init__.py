"""Draws streets with ground truth: frames and masks for users who have no data.

A camera drives along a street. The scenes are drawn, so the class of each pixel is known. A drive
is deterministic, endless, and smooth from frame to frame. Frames are of any size, and are drawn
with NumPy alone.
"""

from __future__ import annotations

from typing import Final

from edgeseg.demo.scenes import FPS, Scene, draw_scene

__all__ = ["DEMO", "FPS", "Scene", "draw_scene"]

# The name of the weights, data set and source that come with edgeseg.
DEMO: Final = "demo"
