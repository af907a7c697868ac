"""Finds the cameras that are connected to this machine."""

from __future__ import annotations

from pathlib import Path

__all__ = ["list_cameras"]


def list_cameras(root: Path = Path("/")) -> list[int]:
    """List the numbers of the cameras, lowest first; `root` is where the system is read."""
    names = (path.name.removeprefix("video") for path in (root / "dev").glob("video*"))
    return sorted(int(name) for name in names if name.isdecimal())
