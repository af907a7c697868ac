"""A bar on stderr for long steps; nothing where that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["phases", "progress", "track"]

T = TypeVar("T")


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each of `total` steps; None where nobody knows how many."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def phases() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function to call with a phase's name, its steps done and all of them; thread-safe.

    Phases come and go, and lie within each other; each has a bar while it lasts.
    """
    if not sys.stderr.isatty():
        yield lambda _name, _done, _steps: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    bars: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:

        def show(name: str, done: int, steps: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=steps)
            progress.update(bars[name], completed=done, visible=done < steps)

        yield show


def track(items: Sequence[T]) -> Iterator[T]:
    """One after another, with a bar."""
    with progress("measuring", len(items)) as advance:
        for item in items:
            yield item
            advance()
