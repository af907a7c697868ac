"""Trains an artifact against the FP32 artifact of the same network, and writes it anew."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgeseg.files.whole import write_file
from edgeseg.progress import Progress
from edgeseg.recovery.options import check_images
from edgeseg.recovery.program import Program

if TYPE_CHECKING:
    from edgeseg.recovery.example import Read
    from edgeseg.recovery.training import Lesson

__all__ = ["Recovered", "read_program", "recover"]

# One image in so many is held back, to tell when the training should end; at most `_MOST`.
_EVERY: Final = 8
_MOST: Final = 16
# Images on which step sizes are chosen, as they are and in other light, and the share of the time
# that this may take.
_FITTED: Final = 16
_FITTING: Final = 0.1
# However long that took, each lesson gets a step.
_SHORTEST_S: Final = 1.0


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
    from edgeseg.recovery.steps import apply_factors, hold_pixels
    from edgeseg.recovery.training import LESSONS, Task, train

    check_images(len(images))
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    back = min(_MOST, len(images) // _EVERY + 1)
    begun = time.monotonic()
    learned = [images[place] for place in order[back:]]
    program = hold_pixels(read_program(source))
    chosen = target.with_suffix(".steps.json")
    factors = _choose_factors(
        program, learned[:_FITTED], chosen, _FITTING * seconds, seed, progress
    )
    fitting_s = time.monotonic() - begun
    task = Task(
        teacher=read_program(teacher),
        learned=learned,
        held_back=[images[place] for place in order[:back]],
        seconds=max(seconds - fitting_s, _SHORTEST_S),
        seed=seed,
        keep=target.with_suffix(".training"),
        lessons=LESSONS if lessons is None else lessons,
    )
    found = train([program, apply_factors(program, factors)], task, progress)
    program.write(found.values, target)
    for left in (task.keep, chosen):
        left.unlink(missing_ok=True)
    return Recovered(
        learned=tuple(order[back:]),
        held_back=back,
        steps=found.steps,
        seconds=found.seconds + fitting_s,
        before=found.before,
        after=found.after,
    )


def _choose_factors(
    program: Program,
    images: Sequence[Read],
    kept: Path,
    seconds: float,
    seed: int,
    progress: Progress,
) -> dict[str, float]:
    """Choose step sizes, or recall those that a training began with before it was broken off."""
    from edgeseg.recovery.steps import fit_factors, light_frames

    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(kept.read_bytes(), type=dict[str, float])
    frames = light_frames(images, seed)
    factors = fit_factors(program, frames, seconds=seconds, seed=seed, progress=progress)
    write_file(kept, msgspec.json.encode(factors))
    return factors
