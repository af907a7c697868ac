"""Says what a data set's notes are where it is refused: one of them may tell why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgeseg.datasets.dataset import Dataset
from edgeseg.errors import EdgesegError
from edgeseg.progress import Progress

__all__ = ["tell_notes_if_refused"]


@contextmanager
def tell_notes_if_refused(dataset: Dataset, progress: Progress) -> Iterator[None]:
    """Say the notes of a data set before an error of ours; without one they are in the result."""
    try:
        yield
    except EdgesegError:
        for note in dataset.notes:
            progress.say(f"note: {note}")
        raise
