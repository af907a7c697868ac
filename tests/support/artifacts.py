"""Files of a network in INT8 and in FP32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typed_graphs import frame

from edgeseg.recovery.example import Example
from edgeseg.runtime.backends.backend import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An INT8 file, the FP32 file of the same network, and what opens them."""

    path: Path
    teacher: Path
    open: Callable[[Path], Backend]


def list_frames(seeds: range) -> list[Callable[[], Example]]:
    return [partial(read_example, seed) for seed in seeds]


def read_example(seed: int) -> Example:
    return Example(frame(seed))
