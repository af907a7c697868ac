"""Judges whether bad light and bad weather cost a candidate more than they cost its reference.

A training makes a network fit what it was shown. Where it became brittle, clean images do not show
it. So the images that decide are measured again under the corruptions that the reference survives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Final, ParamSpec

from edgeseg.accuracy.gates import Judged, make_worst_gates
from edgeseg.corruptions import corrupt
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Progress
from edgeseg.quantize.meter import Meter, Read
from edgeseg.quantize.search import Candidate, Search, measure_once
from edgeseg.runtime.backends.backend import Backend
from edgeseg.spec import RGB

__all__ = ["KINDS", "SEVERITIES", "average_kinds", "judge_corrupted", "measure_corrupted"]

P = ParamSpec("P")

KINDS: Final[tuple[str, ...]] = ("contrast", "brightness", "fog", "gaussian_noise", "defocus_blur")
SEVERITIES: Final = (1, 2, 3)
# Of the images that decide; a corruption's mean needs no more.
_IMAGES: Final = 50
# A reference that loses more than half of its mIoU has not survived a corruption.
_SURVIVED: Final = 0.5


def measure_corrupted(
    job: Search, candidate: Candidate, half: Meter, name: str, *, kinds: Sequence[str] = KINDS
) -> dict[str, float]:
    """Measure by how many points a corruption raises the mIoU drop, at each severity survived.

    `half` is one half of the images, and `name` its name. The figures have names as `contrast 1`.
    Without ground truth, or for images that are not in color, there are none.

    Raises:
        BackendError: the candidate's engine fails on an image.
    """
    if job.frame.shape[3] != RGB:
        return {}
    with ExitStack() as stack:
        job = replace(job, open_engine=_share(job.open_engine, stack))
        few = replace(
            half,
            images=half.images[:_IMAGES],
            open_reference=_share(half.open_reference, stack),
        )
        is_whole = len(few.images) == len(half.images)  # measured already
        own = measure_once(job, candidate, few, name if is_whole else f"{name}_clean")
        if own.drop is None or own.reference_miou is None:
            return {}
        found = {}
        for kind, severity in product(kinds, SEVERITIES):
            masks = job.workspace.open_part(f"{kind}_{severity}").folder
            meter = _corrupt_images(few, kind, severity, masks=masks)
            light = f"{kind} {severity}"
            told = replace(job, progress=_name_light(job.progress, light))
            accuracy = measure_once(told, candidate, meter, f"{name}_{kind}_{severity}")
            assert accuracy.drop is not None
            assert accuracy.reference_miou is not None
            if accuracy.reference_miou >= _SURVIVED * own.reference_miou:
                found[light] = accuracy.drop - own.drop
        return found


def _name_light(progress: Progress, light: str) -> Progress:
    """Name the light in which images are measured."""

    def phase(name: str, done: int, total: int = 0, unit: str = "image", /) -> None:
        progress.phase(f"{name} under {light}", done, total, unit)

    return replace(progress, phase=phase)


def _share(
    open_engine: Callable[P, AbstractContextManager[Backend]], stack: ExitStack
) -> Callable[P, AbstractContextManager[Backend]]:
    """Open an engine once, when it is first asked for; `stack` closes it."""

    @cache
    def open_once(*args: P.args, **kwargs: P.kwargs) -> Backend:
        return stack.enter_context(open_engine(*args, **kwargs))

    return lambda *args, **kwargs: nullcontext(open_once(*args, **kwargs))


def judge_corrupted(job: Search, extra: Mapping[str, float]) -> Judged:
    """Judge the mean of each kind's severities; see `measure_corrupted`."""
    limit = job.limits.max_extra_drop
    if limit is None:
        return Judged()
    return Judged(gates=tuple(make_worst_gates("max_extra_drop", average_kinds(extra), limit)))


def average_kinds(extra: Mapping[str, float]) -> dict[str, float]:
    """Average the figures of each kind of corruption over its severities."""
    figures: dict[str, list[float]] = {}
    for name, value in extra.items():
        figures.setdefault(name.split()[0], []).append(value)
    return {kind: sum(values) / len(values) for kind, values in figures.items()}


def _corrupt_images(meter: Meter, kind: str, severity: int, *, masks: Path) -> Meter:
    images = [
        (place, partial(_read_corrupted, read, kind, severity, place))
        for place, read in meter.images
    ]
    return replace(meter, images=images, masks=masks)


def _read_corrupted(read: Read, kind: str, severity: int, seed: int) -> tuple[Bgr, ClassMap | None]:
    image, truth = read()
    return corrupt(image, kind, severity, seed=seed), truth
