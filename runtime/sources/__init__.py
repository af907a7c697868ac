"""Cameras, streams, videos and images as frames; each kind has a module."""

from __future__ import annotations

from edgeseg.runtime.sources.open import open_source
from edgeseg.runtime.sources.source import Captured, Source
from edgeseg.runtime.sources.stream import GSTREAMER

__all__ = ["GSTREAMER", "Captured", "Source", "open_source"]
