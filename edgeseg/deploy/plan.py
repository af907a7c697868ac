"""Says, before a search begins, what it will try and about how long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from edgeseg.deploy.data import ExportData
from edgeseg.deploy.forms import list_forms
from edgeseg.deploy.job import ExportJob
from edgeseg.quantize.budget import Pace, format_clock
from edgeseg.quantize.search import Search
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import PAUSE_S, ROUNDS, WARM_UP
from edgeseg.text import pluralize

__all__ = ["describe_plan", "measure_pace"]


# Images on which the pace is measured; of three, one may be held up by other work.
_IMAGES: Final = 3


def measure_pace(job: ExportJob, search: Search) -> Pace:
    """Measure how long the FP32 reference takes to open, and to read and segment an image.

    Raises:
        BackendError: FP32 fails on an image.
    """
    baseline = search.floats[0]
    times = [time.monotonic()]
    with search.open_engine(baseline.path, baseline.compute) as engine:
        engine.infer(search.frame)
        times.append(time.monotonic())
        for _, read in search.search_half.images[:_IMAGES]:
            image, _ = read()
            segment_frame(engine, job.checkpoint.input, image)
            times.append(time.monotonic())
    once_s, *images_s = (end - start for start, end in pairwise(times))
    return Pace.of(once_s=once_s, images_s=images_s)


def describe_plan(job: ExportJob, search: Search, data: ExportData, pace: Pace) -> str:
    """Describe in a line what will be tried, and how long that takes at FP32's pace.

    What only a miss leads to is left out: smaller recipes, the sensitivity that ranks them, and
    INT8 of another form.
    """
    forms = len(list_forms(job.request.form))
    chosen = None if job.request.precision in {"fp32", "fp16"} else data.calibration
    calibrated = 0 if chosen is None else len(chosen.pictures)
    recipes = len(search.recipes) if calibrated else 0
    seconds = _estimate(job, search, pace, recipes=recipes, calibrated=calibrated)
    parts = [pluralize(forms, "form") + " of the network"] if forms else []
    parts += [pluralize(recipes, "INT8 recipe")] if recipes else []
    floats = len(search.floats) + load_maker(job.request.target).EFFORT.floats
    what = " and ".join(parts) or ("FP32 alone" if floats == 1 else "float variants alone")
    given = format_clock(job.request.budget_s)
    return (
        f"to try: {what}; about {format_clock(seconds)} of the {given} minutes of --budget, if "
        f"each takes as long as FP32 on an image"
    )


def _estimate(
    job: ExportJob, search: Search, pace: Pace, *, recipes: int, calibrated: int
) -> float:
    """Estimate the seconds for a number of recipes, calibrated on a number of images."""
    effort, forms = load_maker(job.request.target).EFFORT, len(list_forms(job.request.form))
    measurements = list(_list_measurements(job, search, recipes))
    inferences = sum(measurements) + calibrated * recipes * effort.recipe
    if recipes:
        inferences += calibrated * effort.calibration
    seconds = len(measurements) * pace.once_s + recipes * effort.recipe_s
    if search.timed:
        compared = len(search.floats) * (1 + recipes)
        compared += forms if job.request.form is None else 0  # a form that was named is not timed
        timings = 2 * (WARM_UP + ROUNDS) * compared
        inferences += timings
        seconds += timings * PAUSE_S
    return seconds + inferences * pace.image_s


def _list_measurements(job: ExportJob, search: Search, recipes: int) -> Iterator[int]:
    """List the measurements that the search will make: how many images each has."""
    forms, types = len(list_forms(job.request.form)), len(search.floats)
    searched, decided = len(search.search_half.images), len(search.gate_half.images)
    # Beside those in another form, exact FP32 is measured as the reference.
    floats = types + load_maker(job.request.target).EFFORT.floats + bool(forms)
    shipping = floats + types * bool(recipes)  # measured to decide, and once more as they ship
    # The reference's masks are made once for each half.
    yield from (1 + forms + floats + types * recipes) * [searched]
    yield from (1 + 2 * shipping) * [decided]
