"""Says, before a search begins, what it will try and about how long that takes."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Final

from edgeseg.deploy.data import ExportData
from edgeseg.deploy.forms import list_forms
from edgeseg.deploy.job import ExportJob
from edgeseg.quantize.search import Search
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import PAUSE_S, ROUNDS, WARM_UP
from edgeseg.text import pluralize

__all__ = ["describe_plan"]

# Calibrating on an image takes at most this many times as long as segmenting it.
_CALIBRATION: Final = 3


def describe_plan(job: ExportJob, search: Search, data: ExportData) -> str:
    """Describe in a line what will be tried, with the time if each trial takes as long as FP32.

    One image is segmented to find out how long that takes.

    Raises:
        BackendError: FP32 fails on it.
    """
    forms = len(list_forms(job.request.form))
    chosen = None if job.request.precision in {"fp32", "fp16"} else data.calibration
    calibrated = 0 if chosen is None else len(chosen.pictures)
    recipes = sum(bool(recipe.int8) for recipe in search.recipes) if calibrated else 0
    types = len(search.floats)
    searched, decided = len(search.search_half.images), len(search.gate_half.images)
    images = (
        searched  # FP32's masks, which all else is compared with
        + forms * searched
        + _CALIBRATION * calibrated
        + types * (1 + recipes) * searched
        + 4 * types * decided  # floats and INT8, and both once more as they ship
    )
    timings = 2 * (WARM_UP + ROUNDS) * (forms + types * (1 + recipes)) if search.timed else 0
    seconds = (images + timings) * _time_image(job, search) + timings * PAUSE_S
    parts = [pluralize(forms, "form") + " of the network"] if forms else []
    parts += [pluralize(recipes, "INT8 recipe")] if recipes else []
    what = " and ".join(parts) or "FP32 alone"
    needed, given = seconds / 60, job.request.budget_s / 60
    return (
        f"to try: {what}; about {needed:.1f} minutes of the {given:.1f} of --budget, if each takes "
        f"as long as FP32 on an image"
    )


def _time_image(job: ExportJob, search: Search) -> float:
    """Measure the seconds to read and to segment one image, with the FP32 reference."""
    baseline = search.floats[0]
    _, read = search.search_half.images[0]
    with closing(search.open_engine(baseline.path, baseline.compute)) as engine:
        engine.infer(search.frame)
        begun = time.monotonic()
        image, _ = read()
        segment_frame(engine, job.checkpoint.input, image)
        return time.monotonic() - begun
