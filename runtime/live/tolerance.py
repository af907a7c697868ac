"""Skips frames on which the engine fails, until too many do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.runtime.live.feed import Feed
from edgeseg.runtime.live.stages import Work
from edgeseg.runtime.result import Result

__all__ = ["FAILURES_IN_A_ROW", "Tolerance"]

# This many failures in a row end the run.
FAILURES_IN_A_ROW: Final = 10

B = TypeVar("B")


class Tolerance:
    """Skips and counts frames on which the engine fails; too many in a row end the stream."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._in_a_row = 0
        self._lock = threading.Lock()

    def guard(self, call: Callable[[Work], B | None]) -> Callable[[Work], B | None]:
        """Wrap what is done with a frame, so that it gives None where it fails."""

        def call_or_count(work: Work) -> B | None:
            try:
                made = call(work)
            except BackendError as error:
                self._count([work], error)
                return None
            if isinstance(made, Result):
                with self._lock:
                    self._in_a_row = 0
            return made

        return call_or_count

    def guard_all(
        self, call: Callable[[Sequence[Work]], list[B] | None]
    ) -> Callable[[Sequence[Work]], list[B] | None]:
        """Wrap what is done with frames at once, so that it gives nothing where it fails."""

        def call_or_count(works: Sequence[Work]) -> list[B] | None:
            try:
                return call(works)
            except BackendError as error:
                self._count(works, error)
                return []

        return call_or_count

    def _count(self, works: Sequence[Work], error: BackendError) -> None:
        """Count frames that failed.

        Raises:
            BackendError: no frame can follow, or too many failed in a row.
        """
        if isinstance(error, DeviceLostError):
            raise error
        with self._lock:
            for work in works:
                self._feeds[work.feed].failed += 1
                self._feeds[work.feed].last_failure = str(error)
            self._in_a_row += len(works)
            if self._in_a_row >= FAILURES_IN_A_ROW:
                raise BackendError(
                    f"{self._in_a_row} frames in a row failed, the last with: {error}"
                ) from error
