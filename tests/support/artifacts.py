"""Files of a network in INT8 and in FP32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from typed_graphs import frame

from edgeseg.runtime.backends.backend import Backend

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An INT8 file, the FP32 file of the same network, and what opens them."""

    path: Path
    teacher: Path
    open: Callable[[Path], Backend]


def list_frames(seeds: range) -> list[Callable[[], np.ndarray]]:
    return [partial(frame, seed) for seed in seeds]
