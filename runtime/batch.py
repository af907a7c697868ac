"""Takes several frames at once, where several sources run and the device gains by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np

from edgeseg.bundle.manifest import BatchInfo, VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Progress
from edgeseg.runtime.backends.backend import load_batch_runner
from edgeseg.runtime.golden import read_golden_frame, replay_golden
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.lane import Lane, launch_together
from edgeseg.runtime.gpu.path import FramePath
from edgeseg.runtime.gpu.slots import Landed
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.timing import alternate

__all__ = ["find_batch", "use_batch"]


def find_batch(bundle: Bundle, variant: VariantInfo) -> BatchInfo | None:
    """Find the graph for several frames of a variant, or of one whose graph computes the same."""
    if variant.batch is not None:
        return variant.batch
    return next(
        (
            one.batch
            for one in bundle.manifest.variants
            if one.batch is not None
            and (one.precision, one.recipe, one.form, one.recovery)
            == (variant.precision, variant.recipe, variant.form, variant.recovery)
        ),
        None,
    )


@contextmanager
def use_batch(segmenter: Segmenter, sources: int, progress: Progress) -> Iterator[None]:
    """Let the segmenter take several frames at once in the block, where that gains.

    So many sources have to run. The golden frames are replayed at each place of the graph first. A
    line says how much it gains, or why frames go one by one.

    Raises:
        DeviceLostError: the device is lost.
    """
    path, info = segmenter.path, find_batch(segmenter.bundle, segmenter.variant)
    with ExitStack() as stack:
        if path is not None and info is not None and sources >= info.frames:
            try:
                fault = _open(segmenter, path, info, stack, progress)
            except DeviceLostError:
                raise
            except BackendError as error:
                fault = str(error)
            if fault is not None:
                progress.say(f"frames go one by one, not {info.frames} at once: {fault}")
        yield


def _open(
    segmenter: Segmenter, path: FramePath, info: BatchInfo, stack: ExitStack, progress: Progress
) -> str | None:
    """Open the graph until `stack` closes, or explain why it does not serve.

    Raises:
        BackendError: the engine refuses it, or fails.
    """
    bundle = segmenter.bundle
    runner = load_batch_runner(bundle.manifest.target)
    with ExitStack() as opened:
        engine = runner.open_batch(bundle.path(info.file), stream=path.stream, progress=progress)
        opened.callback(engine.close)
        batch = FrameBatch(path, engine, info.frames)
        opened.callback(batch.close)
        with ExitStack() as trial:
            lanes = [Lane(path) for _ in range(info.frames)]
            for lane in lanes:
                trial.callback(lane.close)
            fault = _find_fault(segmenter, batch, lanes)
            share = 0.0 if fault else _find_share(bundle, batch, lanes)
        told = f"together they take {100 * share:.0f} % of the time that they take one by one"
        if fault is None and share > _find_most(info.frames):
            fault = told
        if fault is None:
            progress.say(f"{info.frames} frames at once where as many wait: {told}")
            stack.push(opened.pop_all())
            stack.callback(setattr, segmenter, "batch", None)
            segmenter.batch = batch
    return fault


def _find_most(frames: int) -> float:
    """Find the largest share of the time at which no picture is shown for longer.

    A picture is shown until the next one of its source is there. At once that is for two groups at
    most. One by one it is for the frames of all sources, and two more: those that were under way.
    """
    return (frames + 2) / (2 * frames)


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


def _find_share(bundle: Bundle, batch: FrameBatch, lanes: Sequence[Lane]) -> float:
    """Time frames at once, as a share of their time one by one with two under way."""
    frame = read_golden_frame(bundle)

    def land_one_by_one() -> None:
        before = None
        for lane in lanes:
            now = lane.launch(frame)
            if before is not None:
                before.take()
            before = now
        if before is not None:
            before.take()

    times = alternate(
        {
            "together": partial(_land, batch, lanes, [frame] * batch.frames),
            "one by one": land_one_by_one,
        }
    )
    return float(np.median(times["together"] / times["one by one"]))
