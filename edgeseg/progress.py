"""A bar on stderr for long steps; nothing where that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeseg.datasets import Dataset, Sample

__all__ = ["progress", "track"]


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


def track(dataset: Dataset) -> Iterator[Sample]:
    """The samples of a data set, with a bar."""
    with progress("measuring", len(dataset)) as advance:
        for sample in dataset:
            yield sample
            advance()
