"""Imports PyAV where it is installed, with FFmpeg's own messages off: they would show addresses."""

from __future__ import annotations

from types import ModuleType

__all__ = ["import_pyav"]


def import_pyav() -> ModuleType | None:
    """Import the `av` module; None where it is not installed, or does not load."""
    try:
        import av
    except ImportError:
        return None
    av.logging.set_level(None)
    return av
