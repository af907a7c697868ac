"""The user's cache folder: what can be made again, for this user on this machine."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["find_cache_folder"]


def find_cache_folder() -> Path:
    """$XDG_CACHE_HOME/edgeseg, or ~/.cache/edgeseg. It need not exist."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "edgeseg"
