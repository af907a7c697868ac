"""Trains an artifact against the FP32 artifact of the same network, and writes it anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.progress import Progress
from edgeseg.recovery.lossless import quantize_pixels_exactly
from edgeseg.recovery.options import check_images
from edgeseg.recovery.program import Program

if TYPE_CHECKING:
    from edgeseg.recovery.example import Read
    from edgeseg.recovery.training import Lesson

__all__ = ["Recovered", "read_program", "recover"]

# One image in so many is held back, to tell when the training should end; at most `_MOST`.
_EVERY: Final = 8
_MOST: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a training did.

    `learned` are the places of the images that were learned from. `before` and `after` are the mean
    IoU with FP32's masks, in points, on the images held back.
    """

    learned: tuple[int, ...]
    held_back: int
    steps: int
    seconds: float
    before: float
    after: float


def read_program(path: Path) -> Program:
    """Read the program of an .onnx or .xml file.

    Raises:
        ExportError: it has a part that cannot be trained.
    """
    if path.suffix == ".onnx":
        from edgeseg.recovery.onnx_program import read_onnx_program

        return read_onnx_program(path)
    from edgeseg.recovery.openvino_program import read_openvino_program

    return read_openvino_program(path)


def recover(
    source: Path,
    teacher: Path,
    target: Path,
    images: Sequence[Read],
    *,
    seconds: float,
    seed: int,
    progress: Progress,
    lessons: Sequence[Lesson] | None = None,
) -> Recovered:
    """Train the artifact `source` to compute what `teacher` does, and write it to `target`.

    `images` read examples; see `edgeseg.recovery.example`. A training that was broken off goes on
    from a file beside `target`.

    Without `lessons` all are given; see `edgeseg.recovery.training`.

    Raises:
        CalibrationError: fewer than `FEWEST` images.
        ExportError: the artifact has a part that cannot be trained.
    """
    from edgeseg.recovery.training import LESSONS, Task, train

    check_images(len(images))
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    back = min(_MOST, len(images) // _EVERY + 1)
    task = Task(
        teacher=read_program(teacher),
        learned=[images[place] for place in order[back:]],
        held_back=[images[place] for place in order[:back]],
        seconds=seconds,
        seed=seed,
        keep=target.with_suffix(".training"),
        lessons=LESSONS if lessons is None else lessons,
    )
    program = read_program(source)
    starts = [program, quantize_pixels_exactly(program)]
    found = train([start for start in starts if start is not None], task, progress)
    program.write(found.values, target)
    task.keep.unlink(missing_ok=True)
    return Recovered(
        learned=tuple(order[back:]),
        held_back=back,
        steps=found.steps,
        seconds=found.seconds,
        before=found.before,
        after=found.after,
    )
