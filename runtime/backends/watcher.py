"""Who hears of an engine that takes long to build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["NOBODY", "Watcher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Hears of what takes long: `tell` a line, `phase` a phase's name, steps done and steps in all.

    `phase` may be called from other threads.
    """

    tell: Callable[[str], None] = lambda _line: None
    phase: Callable[[str, int, int], None] = lambda _name, _done, _steps: None


NOBODY: Final = Watcher()
