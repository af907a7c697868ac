"""What each lesson of a recovery wins back, alone and with the others, in the same time.

    python benchmarks/recovery.py BUNDLE IMAGES [--minutes 5]

BUNDLE is one that `edgeseg export --int8` made, IMAGES a folder of images or a data set with a
train split. Some of them are held back. Figures are the mean IoU with FP32's masks on those, as
they are and once more in other light. So take images that the bundle was calibrated on, not those
that judge it. Step sizes are chosen before the lessons, and once alone. Prints a line of JSON for
each: which lessons, minutes, steps, before and after.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.calibration.sets import choose_calibration_set
from edgeseg.cli.scripts import check_inputs, run_script
from edgeseg.pixels import to_input
from edgeseg.progress import Progress, print_line
from edgeseg.recovery.example import Example
from edgeseg.recovery.recover import recover
from edgeseg.recovery.training import LESSONS, Lesson
from edgeseg.spec import check_above_zero

_ALONE: Final = {lesson.name: (replace(lesson, share=1.0),) for lesson in LESSONS}
ABLATIONS: Final = {"step sizes": (), **_ALONE, "all": LESSONS}


def main() -> None:
    """Print a line of JSON for each set of lessons.

    Raises:
        BundleError: there is no bundle, or it has no INT8 variant or no exact FP32 one.
        CalibrationError: too few images.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="a bundle with an INT8 variant")
    parser.add_argument("images", help="images to learn from")
    parser.add_argument("--count", type=int, default=300, help="how many of them")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each set of lessons")
    arguments = parser.parse_args()
    check_above_zero("--minutes", arguments.minutes)
    check_inputs(parser, arguments.bundle)
    bundle = open_bundle(arguments.bundle)
    try:
        student, teacher = find_file(bundle, "int8"), find_file(bundle, "fp32")
    except StopIteration:
        parser.error(f"{arguments.bundle} has no INT8 file, or no exact FP32 one")
    spec = bundle.manifest.input
    chosen = choose_calibration_set(
        arguments.images, count=arguments.count, seed=0, channels=spec.channels
    )
    reads = [
        partial(lambda read: Example(to_input(read(), spec)), picture.image)
        for picture in chosen.pictures
    ]
    for name, lessons in ABLATIONS.items():
        print(json.dumps(measure(name, lessons, student, teacher, reads, arguments.minutes)))
        sys.stdout.flush()


def find_file(bundle: Bundle, precision: str) -> Path:
    """Find the file of a precision that was not trained.

    Raises:
        StopIteration: there is none.
    """
    variants = bundle.manifest.variants
    found = (v for v in variants if v.precision == precision and v.recovery is None)
    return bundle.path(next(found).file)


def measure(
    name: str,
    lessons: tuple[Lesson, ...],
    student: Path,
    teacher: Path,
    reads: list[Callable[[], Example]],
    minutes: float,
) -> dict[str, object]:
    """Give lessons, and say what they won back."""
    with tempfile.TemporaryDirectory() as folder:
        done = recover(
            student,
            teacher,
            Path(folder, student.name),
            reads,
            seconds=60 * minutes,
            seed=0,
            progress=Progress(say=print_line),
            lessons=lessons,
        )
    return {
        "benchmark": "recovery",
        "lessons": name,
        "minutes": round(done.seconds / 60, 1),
        "steps": done.steps,
        "before": round(done.before, 2),
        "after": round(done.after, 2),
    }


if __name__ == "__main__":
    run_script(main)
