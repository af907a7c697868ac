"""Takes several frames at once, where several sources run and the device gains by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import numpy as np

from edgeseg.bundle.manifest import BatchInfo, VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Progress
from edgeseg.runtime.backends.backend import load_batch_runner
from edgeseg.runtime.backends.placing import find_title
from edgeseg.runtime.golden import read_golden_frame, replay_golden
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.lane import Lane, land_one_by_one, launch_together
from edgeseg.runtime.gpu.path import FramePath
from edgeseg.runtime.gpu.slots import Landed
from edgeseg.runtime.proving.remember import Together, recall_together, remember_together
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.timing import alternate

__all__ = ["find_batch", "find_most_share", "use_batch"]

_GROUPS: Final = 3  # that are timed one after the other, as in a run
# What was found is remembered, and may come from an earlier run.
_AGAIN: Final = "after edgeseg build it is tried again"


def find_batch(bundle: Bundle, variant: VariantInfo) -> BatchInfo | None:
    """Find the graph for several frames of a variant, or of one whose graph computes the same.

    None where the variant ends in class ids, and where it stands in for one that the engine does
    not build: the graphs for several frames end in logits, and are written as the first of a kind.
    """
    if variant.batch is not None or variant.instead_of is not None:
        return variant.batch
    return next(
        (
            one.batch
            for one in bundle.manifest.variants
            if one.batch is not None
            and (one.precision, one.recipe, one.output, one.form, one.recovery)
            == (variant.precision, variant.recipe, variant.output, variant.form, variant.recovery)
        ),
        None,
    )


@contextmanager
def use_batch(segmenter: Segmenter, sources: int, progress: Progress) -> Iterator[None]:
    """Let the segmenter take several frames at once in the block, where that gains.

    So many sources have to run. At the first time, the golden frames are replayed at each place of
    the graph, and frames are timed together and one by one; what comes out is remembered. A line
    says how much it gains, or why frames go one by one.

    Raises:
        DeviceLostError: the device is lost.
    """
    path, info = segmenter.path, find_batch(segmenter.bundle, segmenter.variant)
    with ExitStack() as stack:
        if path is not None and info is not None and sources >= info.frames:
            most = find_most_share(info.frames, sources)
            found, batch = _open_if_gaining(segmenter, path, info, most, stack, progress)
            progress.say(f"{_describe(found, info.frames, sources, most)}; {_AGAIN}")
            if batch is not None:
                stack.callback(setattr, segmenter, "batch", None)
                segmenter.batch = batch
        yield


def _describe(found: Together, frames: int, sources: int, most: float) -> str:
    if found.share is None:
        return f"frames go one by one, not {frames} at once: {found.fault}"
    took = f"they take {100 * found.share:.0f} % of their time one by one"
    if found.share <= most:
        return f"{frames} frames at once where as many wait: {took}"
    return (
        f"frames go one by one, not {frames} at once: {took}, and of {sources} sources they may "
        f"take {100 * most:.0f} %"
    )


def find_most_share(frames: int, sources: int) -> float:
    """Find the largest share of the time at which no picture is shown for longer.

    A picture is shown until the next one of its source is there. One by one it is for the frames of
    all sources, and two more: those that were under way. In groups it is for the groups in which
    all sources come, and one more.
    """
    groups = -(-sources // frames)
    return (sources + 2) / (frames * (groups + 1))


def _open_if_gaining(
    segmenter: Segmenter,
    path: FramePath,
    info: BatchInfo,
    most: float,
    stack: ExitStack,
    progress: Progress,
) -> tuple[Together, FrameBatch | None]:
    """Open the graph until `stack` closes, where it gains; try it, where nobody knows."""
    bundle, title = segmenter.bundle, find_title(segmenter.variant)
    known = recall_together(bundle, title)
    if known is not None and (known.share is None or known.share > most):
        return known, None
    with ExitStack() as opened:
        try:
            file = bundle.path(info.file)
            runner = load_batch_runner(bundle.manifest.target)
            engine = runner.open_batch(file, stream=path.stream, progress=progress)
            opened.callback(engine.close)
            batch = FrameBatch(path, engine, info.frames)
            opened.callback(batch.close)
            found = known or _try(segmenter, path, batch, progress)
        except DeviceLostError:
            raise
        except BackendError as error:
            found = Together(fault=str(error))
        if found != known:
            remember_together(bundle, title, found, progress)
        if found.share is None or found.share > most:
            return found, None
        stack.push(opened.pop_all())
        return found, batch


def _try(segmenter: Segmenter, path: FramePath, batch: FrameBatch, progress: Progress) -> Together:
    """Replay the golden frames, and time.

    Raises:
        BackendError: the engine fails.
    """
    with ExitStack() as stack:
        lanes = [Lane(path) for _ in range(batch.frames)]
        for lane in lanes:
            stack.callback(lane.close)
        fault = _find_fault(segmenter, batch, lanes)
        if fault is not None:
            return Together(fault=fault)
        return Together(share=_find_share(segmenter.bundle, batch, lanes, progress))


def _find_fault(segmenter: Segmenter, batch: FrameBatch, lanes: Sequence[Lane]) -> str | None:
    """Explain where a golden frame's mask is wrong; None where each is right at every place."""
    bundle = segmenter.bundle
    other = read_golden_frame(bundle)
    for place in range(batch.frames):
        segment = partial(_segment_at, place, batch, lanes, other)
        for one in replay_golden(bundle, segmenter.variant, segment):
            if not one.passed:
                return (
                    f"{one.frame} agrees in {one.agreement:.2f} % of the pixels, not "
                    f"{one.least:.2f}"
                )
    return None


def _segment_at(
    place: int, batch: FrameBatch, lanes: Sequence[Lane], other: Bgr, frame: Bgr
) -> ClassMap:
    """Segment a frame at a place among others."""
    frames = [other] * batch.frames
    frames[place] = frame
    return _land(batch, lanes, frames)[place].mask


def _land(batch: FrameBatch, lanes: Sequence[Lane], frames: Sequence[Bgr]) -> list[Landed]:
    """Send frames through at once, and wait for them.

    Raises:
        BackendError: the device does not make frames of this size, or fails.
    """
    for lane, frame in zip(lanes, frames, strict=True):
        if not lane.fits(frame):
            height, width = frame.shape[:2]
            raise BackendError(f"the device does not make frames of {height}x{width}")
    flights = launch_together(batch, list(zip(lanes, frames, strict=True)))
    if flights is None:
        raise BackendError("the device has too little memory for them")
    return [flight.take() for flight in flights]


def _find_share(
    bundle: Bundle, batch: FrameBatch, lanes: Sequence[Lane], progress: Progress
) -> float:
    """Time frames at once, as a share of their time one by one with two under way.

    One thread copies frames and takes results, where a run has two; that slows both ways alike.
    """
    frame = read_golden_frame(bundle)

    def land_together() -> None:
        for _ in range(_GROUPS):
            _land(batch, lanes, [frame] * batch.frames)

    alone = [(lane, frame) for lane in lanes] * _GROUPS
    times = alternate(
        {"together": land_together, "one by one": partial(land_one_by_one, alone)},
        progress=progress,
    )
    return float(np.median(times["together"] / times["one by one"]))
