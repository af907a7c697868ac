"""A bar on stderr for long steps; where that is no terminal, a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Final, Protocol, TypeVar

from edgeseg.text import counted

__all__ = ["Step", "begin", "phases", "print_line", "progress", "steps", "track"]

T = TypeVar("T")

# A log hears of a step that lasts so long,
_FIRST_LINE_S: Final = 5.0
# and then so often: seldom enough for one who reads it, often enough for one who waits.
_BETWEEN_LINES_S: Final = 30.0
_TICK_S: Final = 0.5


class Step(Protocol):
    """Hears how far a long job is."""

    def __call__(self, phase: str, done: int, total: int, unit: str = "image", /) -> None:
        """`done` of `total` units of a phase are done; a `total` of 0 where nobody counts."""


def begin(step: Step, phase: str, total: int = 0, unit: str = "image") -> Callable[[], None]:
    """Tell `step` that a phase begins, and return what to call after each of its units."""
    numbers = count(1)
    step(phase, 0, total, unit)
    return lambda: step(phase, next(numbers), total, unit)


@contextmanager
def steps() -> Iterator[Step]:
    """Yields what shows the phase of a job: a bar, or lines where stderr is no terminal."""
    if not sys.stderr.isatty():
        with _phase_lines() as step:
            yield step
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)
        shown = ""

        def show(phase: str, done: int, total: int, unit: str = "image", /) -> None:
            nonlocal shown
            if phase != shown or done == 0:
                shown = phase
                bar.reset(task, description=phase, total=total or None, visible=True)
            counter = f"{phase}: {done} of {counted(total, unit)}" if total else phase
            bar.update(task, description=counter, completed=done)

        yield show


def print_line(line: str) -> None:
    """A line for people, on stderr: stdout is for machines."""
    sys.stderr.write(f"{line}\n")


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


@contextmanager
def _phase_lines() -> Iterator[Step]:
    """Says how far a phase is once it takes long, even while nothing in it is counted."""
    now = ("", 0, 0, "image")
    begun = due = time.monotonic()
    ended = threading.Event()

    def hear(phase: str, done: int, total: int, unit: str = "image", /) -> None:
        nonlocal now, begun, due
        if phase != now[0] or done == 0:
            begun = time.monotonic()
            due = begun + _FIRST_LINE_S
        now = (phase, done, total, unit)

    def watch() -> None:
        nonlocal due
        while not ended.wait(_TICK_S):
            phase, done, total, unit = now
            if phase and time.monotonic() >= due:
                due = time.monotonic() + _BETWEEN_LINES_S
                counter = f" {done} of {counted(total, unit)} in" if total else ""
                sys.stderr.write(f"{phase}:{counter} {_clock(time.monotonic() - begun)}\n")

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield hear
    finally:
        ended.set()
        watcher.join()


def _clock(seconds: float) -> str:
    """As 2:05 minutes."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} minutes"


def _lines(title: str, total: int | None) -> Callable[[], None]:
    """A step that says now and then how far it is."""
    begun = time.monotonic()
    due = begun + _FIRST_LINE_S
    done = 0

    def step() -> None:
        nonlocal due, done
        done += 1
        now = time.monotonic()
        if now >= due:
            due = now + _BETWEEN_LINES_S
            images = (
                counted(done, "image") if total is None else f"{done} of {counted(total, 'image')}"
            )
            sys.stderr.write(f"{title}: {images} in {_clock(now - begun)}\n")

    return step
