"""Progress on stderr: bars on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edgeseg.cli.options import say
from edgeseg.progress import Phase, Progress
from edgeseg.text import pluralize, to_plain

__all__ = ["show_progress"]

# Seconds until a log gets the first line of a phase,
_FIRST_LINE_S: Final = 5.0
# and seconds between the lines after it.
_BETWEEN_LINES_S: Final = 30.0
_TICK_S: Final = 0.5


@contextmanager
def show_progress(*, lines: bool = True) -> Iterator[Progress]:
    """Yield a Progress that shows lines, the phase and its parts while the block runs.

    Without `lines` a log gets no lines about the phase: a run may last for months.
    """
    if sys.stderr.isatty():
        with _show_bars() as progress:
            yield progress
    elif lines:
        with _print_phases() as phase:
            yield Progress(say=_say, phase=phase)
    else:
        yield Progress(say=_say)


def _say(line: str) -> None:
    say(to_plain(line))


@contextmanager
def _show_bars() -> Iterator[Progress]:
    """Show a bar for the phase, and one for each part while it runs."""
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, visible=False)
        shown = ""
        parts: dict[str, rich_progress.TaskID] = {}

        def show_phase(name: str, done: int, total: int = 0, unit: str = "image", /) -> None:
            nonlocal shown
            if name != shown or done == 0:
                shown = name
                bars.reset(task, description=name, total=total or None, visible=True)
            counter = f"{name}: {done} of {pluralize(total, unit)}" if total else name
            bars.update(task, description=counter, completed=done)

        def show_part(name: str, done: int, total: int) -> None:
            if name not in parts:
                parts[name] = bars.add_task(name, total=total)
            bars.update(parts[name], completed=done, visible=done < total)

        yield Progress(say=_say, phase=show_phase, part=show_part)


@contextmanager
def _print_phases() -> Iterator[Phase]:
    """Print how far a long phase is, even while nothing in it is counted."""
    now = ("", 0, 0, "image")
    first = 0  # what was done when the phase began: an interrupted one goes on
    begun = due = time.monotonic()
    ended = threading.Event()

    def hear(name: str, done: int, total: int = 0, unit: str = "image", /) -> None:
        nonlocal now, first, begun, due
        if name != now[0] or done == 0:
            first = done
            begun = time.monotonic()
            due = begun + _FIRST_LINE_S
        now = (name, done, total, unit)

    def watch() -> None:
        nonlocal due
        while not ended.wait(_TICK_S):
            name, done, total, unit = now
            if name and time.monotonic() >= due:
                due = time.monotonic() + _BETWEEN_LINES_S
                spent = time.monotonic() - begun
                counter = _describe_count(done, total, unit)
                left = _describe_rest(spent, done - first, total - done)
                sys.stderr.write(f"{name}:{counter} {_format_time(spent)} minutes{left}\n")

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield hear
    finally:
        ended.set()
        watcher.join()


def _describe_count(done: int, total: int, unit: str) -> str:
    """Write ` 12 of 40 images in`, ` 12 images in` if the total is unknown, or nothing."""
    if total:
        return f" {done} of {pluralize(total, unit)} in"
    return f" {pluralize(done, unit)} in" if done else ""


def _describe_rest(spent_s: float, done: int, left: int) -> str:
    """Write how long the rest will take, if it takes as long for each unit as what was done."""
    return f", about {_format_time(spent_s * left / done)} left" if done and left > 0 else ""


def _format_time(seconds: float) -> str:
    """Format minutes and seconds, for example as 2:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
