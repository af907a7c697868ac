"""Trained SegFormer checkpoints, live on a device, with the accuracy proved."""

from __future__ import annotations

__version__ = "0.1.0"
