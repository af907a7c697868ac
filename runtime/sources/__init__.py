"""Cameras, streams, videos and images as frames; each kind has a module."""

from __future__ import annotations

from edgeseg.redact import GSTREAMER
from edgeseg.runtime.sources.open import open_source
from edgeseg.runtime.sources.reads import list_files_read
from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["GSTREAMER", "Captured", "Source", "list_files_read", "open_source"]
