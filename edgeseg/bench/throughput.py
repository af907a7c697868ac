"""Measures how much of an engine's speed a whole run keeps.

A run also reads frames, prepares them and makes masks: the host's work. The engine alone and a run
on a video, without outputs, take turns. If the engine has one thread, the host has the other cores,
and a run should be about as fast as the engine. If the engine has all cores, both share them. Then
a run should not be slower than engine and host one after the other.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edgeseg.bundle.store import Bundle
from edgeseg.errors import SourceError
from edgeseg.machine.opencv import import_opencv
from edgeseg.pixels import Bgr, Frame, Output, to_frame_mask, to_input
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.placing import AUTO
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.runtime.live.run import run
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.segmenter import Segmenter, check_takes_color
from edgeseg.runtime.sources import open_source
from edgeseg.spec import InputSpec

__all__ = ["FRAME_WH", "EndToEnd", "measure_end_to_end"]

# Width and height in pixels: what most cameras give.
FRAME_WH: Final = (1280, 720)
ROUNDS: Final = 5
WARM_UP: Final = 3
# The camera turns by this many pixels a frame, so that frames differ and have to be decoded.
_PAN: Final = 8
# Frames held in memory to time engine and host alone; a run reads all frames from the video.
_HELD: Final = 50
_FPS: Final = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndToEnd:
    """How much of its engine's speed a bundle's variant keeps in a run. Figures are medians.

    `bundle` is the folder, `backend` the engine and its version, `threads` the number of the
    engine's threads. `engine_fps` and `run_fps` are frames a second, of the engine alone and of a
    whole run. `kept` is run_fps / engine_fps, `kept_lowest` the lowest of all rounds, `sequential`
    what engine and host would keep one after the other.

    `engine_ms` is the engine's time for a frame in milliseconds; `prepare_ms` and `mask_ms` are the
    host's, of one core. Where a GPU makes whole frames, they hold the GPU's times, too.
    `host_share` is (prepare_ms + mask_ms) / engine_ms. `page_faults` is how many pages of memory a
    run asks the system for, for each frame: near 0 if memory is used again.
    """

    bundle: str
    backend: str
    precision: str
    threads: int
    engine_fps: float
    run_fps: float
    kept: float
    kept_lowest: float
    sequential: float
    engine_ms: float
    prepare_ms: float
    mask_ms: float
    host_share: float
    page_faults: float


def measure_end_to_end(
    bundles: Sequence[Bundle], *, frames: int, device: str = AUTO, progress: Progress = SILENT
) -> list[EndToEnd]:
    """Measure each bundle's variant for this machine with one engine thread, then with all.

    Each runs on a video of `frames` frames. `device` restricts engines to devices of that name.
    Notes go to `progress`.

    Raises:
        GateMissedError: no variant of a bundle passes on this machine.
        BackendError: an engine is not installed, or fails.
        MissingPackageError: OpenCV is not installed.
        SourceError: OpenCV cannot write the video, or a bundle takes no frames of a video.
    """
    for bundle in bundles:
        check_takes_color(bundle)
    found = []
    for bundle in bundles:
        variant = choose_variant(bundle, device=device, progress=progress)
        with _make_video(bundle, frames) as video:
            for threads in dict.fromkeys((1, os.cpu_count() or 1)):
                with Segmenter(bundle, variant=variant, threads=threads) as segmenter:
                    found.append(_measure(segmenter, video, threads=threads))
    return found


def _measure(segmenter: Segmenter, video: str, *, threads: int) -> EndToEnd:
    rounds = _measure_rounds(segmenter, video)
    middle = _Round(*np.median(rounds, axis=0))
    kept = [one.run_fps / one.engine_fps for one in rounds]
    engine_s, host_s = 1 / middle.engine_fps, middle.prepare_s + middle.mask_s
    return EndToEnd(
        bundle=str(segmenter.bundle.folder),
        backend=segmenter.backend.name,
        precision=segmenter.variant.precision,
        threads=threads,
        engine_fps=float(middle.engine_fps),
        run_fps=float(middle.run_fps),
        kept=float(np.median(kept)),
        kept_lowest=float(min(kept)),
        sequential=float(engine_s / (engine_s + host_s)),
        engine_ms=float(1e3 * engine_s),
        prepare_ms=float(1e3 * middle.prepare_s),
        mask_ms=float(1e3 * middle.mask_s),
        host_share=float(host_s / engine_s),
        page_faults=float(middle.page_faults),
    )


class _Round(NamedTuple):
    """What one round measured; times are seconds of one core for each frame."""

    engine_fps: float
    run_fps: float
    prepare_s: float
    mask_s: float
    page_faults: float  # of the run, for each frame


def _measure_rounds(segmenter: Segmenter, video: str) -> list[_Round]:
    """Let the engine alone, a whole run and the host alone take turns."""
    with open_source(video) as source:
        frames = [captured.image for captured in islice(source.frames, _HELD)]
    spec = segmenter.bundle.manifest.input
    inputs = [to_input(frame, spec) for frame in frames]
    outputs = [segmenter.backend.infer(one).copy() for one in inputs[:WARM_UP]]
    _time_host(frames[:WARM_UP], outputs, spec)  # warm-up, which no figure counts
    rounds = []
    for _ in range(ROUNDS):
        if segmenter.path is None:
            engine_s = _time_engine(segmenter, inputs)
            prepare_s, mask_s = _time_host(frames, outputs, spec)
        else:
            engine_s, prepare_s, mask_s = _time_whole(segmenter, frames)
        run_fps, page_faults = _time_run(segmenter, video)
        rounds.append(_Round(len(frames) / engine_s, run_fps, prepare_s, mask_s, page_faults))
    return rounds


def _time_whole(segmenter: Segmenter, frames: Sequence[Bgr]) -> tuple[float, float, float]:
    """Segment the frames on a GPU; give the engine's seconds, and a frame's for the other steps."""
    made = [segmenter.segment(frame) for frame in frames]
    engine, prepare, mask = (
        1e-3 * sum(times)
        for times in zip(
            *((one.infer_ms, one.prepare_ms, one.mask_ms) for one in made), strict=True
        )
    )
    return engine, prepare / len(frames), mask / len(frames)


def _time_run(segmenter: Segmenter, video: str) -> tuple[float, float]:
    """Run on the whole video; return frames a second, and page faults for each frame."""
    with open_source(video) as source:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        whole = run(segmenter, source, [])
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return whole.fps, faults / whole.frames


def _time_host(
    frames: Sequence[Bgr], outputs: Sequence[Output], spec: InputSpec
) -> tuple[float, float]:
    """Prepare the frames and make masks; return the seconds that each takes for a frame."""
    begun = time.thread_time()
    for frame in frames:
        to_input(frame, spec)
    prepared = time.thread_time()
    for index, frame in enumerate(frames):
        to_frame_mask(outputs[index % len(outputs)], spec, frame)
    masked = time.thread_time()
    return (prepared - begun) / len(frames), (masked - prepared) / len(frames)


def _time_engine(segmenter: Segmenter, inputs: Sequence[Frame]) -> float:
    """Infer all inputs after a warm-up; return the seconds that all of them take."""
    for one in inputs[:WARM_UP]:
        segmenter.backend.infer(one)
    begun = time.perf_counter()
    for one in inputs:
        segmenter.backend.infer(one)
    return time.perf_counter() - begun


@contextmanager
def _make_video(bundle: Bundle, frames: int) -> Iterator[str]:
    """Make a video of the bundle's first golden frame, as a camera that pans would see it."""
    cv2 = import_opencv("bench --end-to-end")
    still = cv2.resize(read_golden_frame(bundle), FRAME_WH)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "pan.mp4")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), _FPS, FRAME_WH)
        if not writer.isOpened():
            raise SourceError(
                "this OpenCV does not write MPEG-4 videos, which bench --end-to-end needs; "
                "install another: pip install 'edgeseg[opencv]' -c constraints.txt"
            )
        for index in range(frames):
            writer.write(np.roll(still, index * _PAN, axis=1))
        writer.release()
        yield path
