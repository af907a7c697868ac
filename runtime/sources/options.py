"""What a camera is asked for, and how a lost one is sought."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.progress import Say, ignore

__all__ = ["CameraOptions", "Retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """What a camera is asked for, in pixels and frames a second; it may give something else."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often in a row a lost source is opened again (None: until it is back), and who hears.

    In a row means: without a frame in between. A number holds for the start, too; None means then
    that the source must be there.
    """

    attempts: int | None = 0
    say: Say = ignore
