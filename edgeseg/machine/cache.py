"""Finds the user's cache folder, for files that can be made again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["find_cache_folder"]


def find_cache_folder() -> Path:
    """Return $XDG_CACHE_HOME/edgeseg, or ~/.cache/edgeseg; the folder may not exist."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "edgeseg"
