"""A bar on stderr for long steps; where that is no terminal, a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from edgeseg.text import counted

__all__ = ["phases", "progress", "track"]

T = TypeVar("T")

# Between two lines of a log: seldom enough for one that is read, often enough for one that waits.
_BETWEEN_LINES_S: Final = 30.0


@contextmanager
def progress(title: str, total: int | None, *, lines: bool = True) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each of `total` images; None where nobody knows how many.

    Without `lines` nothing is said where stderr is no terminal: for what may go on for months.
    """
    if not sys.stderr.isatty():
        yield _lines(title, total) if lines else lambda: None
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


def _lines(title: str, total: int | None) -> Callable[[], None]:
    """A step that says now and then how far it is."""
    begun = told = time.monotonic()
    done = 0

    def step() -> None:
        nonlocal told, done
        done += 1
        now = time.monotonic()
        if now - told >= _BETWEEN_LINES_S:
            told = now
            minutes, seconds = divmod(round(now - begun), 60)
            images = (
                counted(done, "image") if total is None else f"{done} of {counted(total, 'image')}"
            )
            sys.stderr.write(f"{title}: {images} in {minutes}:{seconds:02} minutes\n")

    return step
