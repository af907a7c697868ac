"""Counts the time that a search may take, and what it was spent on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from edgeseg.progress import Progress
from edgeseg.text import join_words

__all__ = ["Budget", "Pace", "UsedUp", "format_clock"]

# Of an estimate: golden frames, and a variant that the deciding half refuses, take time as well.
MARGIN: Final = 1.25


class UsedUp(Exception):  # noqa: N818  # no error: a search without time left goes on to decide
    """Raised where trying a recipe would take longer than the budget allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long measuring a variant takes: `once_s` seconds, and `image_s` more for each image.

    `once_s` is for opening its engine and computing intervals.
    """

    once_s: float
    image_s: float

    @classmethod
    def of(cls, *, once_s: float, images_s: Sequence[float]) -> Pace:
        """Sum up a measurement by the seconds of each image and those beside the images.

        An image counts as the median. So a few images that other work on the machine held up do not
        make all that is still to measure look slow.
        """
        return cls(once_s=once_s, image_s=median(images_s))


class Budget:
    """A number of seconds from now on; `reserved` of them are kept to decide and confirm."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reserved = 0.0
        self.shortage = ""  # why a recipe was not tried; empty where all were
        self._begun = time.monotonic()
        self._enforced = False
        self._paces: dict[str, Pace] = {}
        self._spent: dict[str, float] = {}
        self._on: list[tuple[str, float]] = []

    @property
    def left(self) -> float:
        """Seconds that may still be used to try recipes; negative where there are none."""
        return self.seconds - self.reserved - (time.monotonic() - self._begun)

    def note_pace(self, name: str, pace: Pace) -> None:
        """Note how long measuring a variant took the last time."""
        self._paces[name] = pace

    def estimate(self, names: Iterable[str], images: int) -> float:
        """Estimate the seconds that measuring each of the variants on `images` images takes.

        A variant that was not measured in this run counts as the slowest of those that were. The
        sum is raised by a margin. Without any measurement it is 0.
        """
        known = self._paces.values()
        if not known:
            return 0.0
        slowest = Pace(
            once_s=max(pace.once_s for pace in known), image_s=max(pace.image_s for pace in known)
        )
        paces = [self._paces.get(name, slowest) for name in names]
        return MARGIN * sum(pace.once_s + images * pace.image_s for pace in paces)

    def explain_shortage(self, names: Sequence[str]) -> str:
        """Say in a line what there was no time for, and why; keep the reason as `shortage`."""
        passed = time.monotonic() - self._begun
        total, kept = map(format_clock, (self.seconds, self.reserved))
        needed = format_clock(passed + self.reserved)
        self.shortage = (
            f"{format_clock(passed)} of the {total} minutes of --budget passed, and {kept} are "
            f"kept to decide and confirm; trying more takes over {needed} minutes"
        )
        were = "was" if len(names) == 1 else "were"
        return f"budget used up: {join_words(names)} {were} not tried: {self.shortage}"

    @contextmanager
    def enforce(self) -> Iterator[None]:
        """Make `check` raise while the block runs."""
        self._enforced = True
        try:
            self.check()
            yield
        finally:
            self._enforced = False

    def check(self) -> None:
        """Raise an error where the time is used up.

        Raises:
            UsedUp: within an `enforce` block, no time is left.
        """
        if self._enforced and self.left <= 0:
            raise UsedUp

    def watch(self, progress: Progress) -> Progress:
        """Return the same progress, but call `check` at every unit of a phase."""

        def phase(name: str, done: int, total: int = 0, unit: str = "image", /) -> None:
            progress.phase(name, done, total, unit)
            self.check()

        return replace(progress, phase=phase)

    @contextmanager
    def spending(self, on: str) -> Iterator[None]:
        """Count the block's seconds under a name; an inner block counts under its own name."""
        self._settle()
        self._on.append((on, time.monotonic()))
        try:
            yield
        finally:
            self._settle()
            self._on.pop()
            if self._on:
                self._on[-1] = (self._on[-1][0], time.monotonic())

    @contextmanager
    def stop_clock(self) -> Iterator[None]:
        """Leave the block's seconds out: what runs in it was given a time of its own."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._begun += time.monotonic() - begun

    @property
    def line(self) -> str:
        """A line that says what the time was spent on."""
        parts = [
            f"{name} {format_clock(spent)}" for name, spent in self._spent.items() if spent >= 0.5
        ]
        whole = format_clock(time.monotonic() - self._begun)
        given = format_clock(self.seconds)
        line = (
            f"the search took {whole} of the {given} minutes of --budget"
            if time.monotonic() - self._begun <= self.seconds
            else f"the search took {whole} minutes, more than the {given} of --budget"
        )
        return f"{line}: {', '.join(parts)}" if parts else line

    def _settle(self) -> None:
        """Count the innermost block's time until now."""
        if self._on:
            name, since = self._on[-1]
            now = time.monotonic()
            self._spent[name] = self._spent.get(name, 0.0) + now - since
            self._on[-1] = (name, now)


def format_clock(seconds: float) -> str:
    """Write minutes and seconds, such as 3:07."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
