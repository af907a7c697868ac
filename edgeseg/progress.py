"""How long work says what it does and how far it is. Who listens decides what to show of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol, TypeVar

__all__ = [
    "SILENT",
    "Phase",
    "Progress",
    "Say",
    "Step",
    "begin",
    "ignore",
    "name_lines",
    "print_line",
    "track",
]

T = TypeVar("T")

# Takes a line for people.
Say = Callable[[str], None]
# Called after each unit of a phase.
Step = Callable[[], None]


class Phase(Protocol):
    """Hears what is being done, and how far it is."""

    def __call__(self, name: str, done: int, total: int = 0, unit: str = "image", /) -> None:
        """`done` of `total` units are done; a `total` of 0 where nobody knows how many there are.

        A name that differs from the last one, or a `done` of 0, begins another phase.
        """


def ignore(*_: object) -> None:
    """Hear anything and do nothing."""


def name_lines(say: Say, name: str | None) -> Say:
    """Begin each line with `name`, whom it is about; None where there is only one."""
    return say if name is None else lambda line: say(f"{name}: {line}")


def print_line(line: str) -> None:
    """Say a line on stderr: stdout is for machines."""
    sys.stderr.write(f"{line}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Hears how long work goes on; by default it does nothing. Threads may call all three.

    `say` hears a line for people, `phase` what is being done: one phase follows the other. `part`
    hears of what goes on beside the phase, alone or with other parts: its name, how much is done
    and how much there is. A part ends when both are equal.
    """

    say: Say = ignore
    phase: Phase = ignore
    part: Callable[[str, int, int], None] = ignore


SILENT: Final = Progress()


def begin(progress: Progress, phase: str, total: int = 0, unit: str = "image") -> Step:
    """Begin a phase, and return what to call after each of its units."""
    numbers = count(1)
    progress.phase(phase, 0, total, unit)
    return lambda: progress.phase(phase, next(numbers), total, unit)


def track(progress: Progress, phase: str, items: Sequence[T], unit: str = "image") -> Iterator[T]:
    """Yield the items of a phase; each counts as done when the next one is asked for."""
    step = begin(progress, phase, len(items), unit)
    for item in items:
        yield item
        step()
