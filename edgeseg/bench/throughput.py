"""Measures how much of an engine's speed is left in a whole run, which also reads and prepares.

The engine alone and a run on a video, without outputs, take turns. With the engine on one thread,
the host has the other cores, and a run should be about as fast as the engine. With the engine on
all cores, host and engine share them. One after the other they would reach engine / (engine +
host); a run should not be slower than that.
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
from typing import Final

import numpy as np

from edgeseg.bundle.store import Bundle
from edgeseg.errors import SourceError
from edgeseg.images import read_image
from edgeseg.machine.opencv import import_opencv
from edgeseg.pixels import Frame, to_frame_mask, to_input
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.live.pipeline import run
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.select import choose_variant
from edgeseg.runtime.sources import open_source

__all__ = ["FRAME_WH", "EndToEnd", "measure_end_to_end"]

# The size of a frame: what most cameras give.
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
    """Medians of the rounds; host time is the core time that prepare and mask take for a frame.

    `kept` is the median of run / engine over the rounds, `kept_lowest` the lowest of them.
    `sequential` is the share that engine and host would keep one after the other. `host_share` is
    (prepare + mask) / engine. `page_faults` are the pages of memory that a run asks the system for,
    for each frame; the number is near 0 where memory is used again.
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
    bundles: Sequence[Bundle], *, frames: int, progress: Progress = SILENT
) -> list[EndToEnd]:
    """Measure each bundle's variant for this machine with one engine thread, then with all.

    Raises:
        MissingPackageError: there is no OpenCV to read a video with.
    """
    found = []
    for bundle in bundles:
        variant = choose_variant(bundle, progress=progress)
        with _make_video(bundle, frames) as video:
            for threads in dict.fromkeys((1, os.cpu_count() or 1)):
                with Segmenter(bundle, variant=variant, threads=threads) as segmenter:
                    found.append(_measure(segmenter, video, threads=threads))
    return found


def _measure(segmenter: Segmenter, video: str, *, threads: int) -> EndToEnd:
    with open_source(video) as source:
        frames = [captured.image for captured in islice(source.frames, _HELD)]
    spec = segmenter.bundle.manifest.input
    inputs = [to_input(frame, spec) for frame in frames]
    outputs = [segmenter.backend.infer(one).copy() for one in inputs[:WARM_UP]]
    for frame, output in zip(frames, outputs, strict=False):  # warm-up, which no figure counts
        to_input(frame, spec)
        to_frame_mask(output, spec, frame)
    rounds = []
    for _ in range(ROUNDS):
        engine_s = _time_engine(segmenter, inputs)
        with open_source(video) as source:
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            whole = run(segmenter, source, [])
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        begun = time.thread_time()
        for frame in frames:
            to_input(frame, spec)
        prepared = time.thread_time()
        for index, frame in enumerate(frames):
            to_frame_mask(outputs[index % WARM_UP], spec, frame)
        masked = time.thread_time()
        host = ((prepared - begun) / len(frames), (masked - prepared) / len(frames))
        rounds.append((len(frames) / engine_s, whole.fps, *host, faults / whole.frames))
    engine_fps, run_fps, prepare_s, mask_s, page_faults = np.median(rounds, axis=0)
    kept = [run_fps / engine_fps for engine_fps, run_fps, *_ in rounds]
    engine_s, host_s = 1 / engine_fps, prepare_s + mask_s
    return EndToEnd(
        bundle=str(segmenter.bundle.folder),
        backend=segmenter.backend.name,
        precision=segmenter.variant.precision,
        threads=threads,
        engine_fps=float(engine_fps),
        run_fps=float(run_fps),
        kept=float(np.median(kept)),
        kept_lowest=float(min(kept)),
        sequential=float(engine_s / (engine_s + host_s)),
        engine_ms=float(1e3 * engine_s),
        prepare_ms=float(1e3 * prepare_s),
        mask_ms=float(1e3 * mask_s),
        host_share=float(host_s / engine_s),
        page_faults=float(page_faults),
    )


def _time_engine(segmenter: Segmenter, inputs: Sequence[Frame]) -> float:
    for one in inputs[:WARM_UP]:
        segmenter.backend.infer(one)
    begun = time.perf_counter()
    for one in inputs:
        segmenter.backend.infer(one)
    return time.perf_counter() - begun


@contextmanager
def _make_video(bundle: Bundle, frames: int) -> Iterator[str]:
    """Make a video of the bundle's first golden frame, as a camera that turns sees it."""
    cv2 = import_opencv("bench --end-to-end")
    still = cv2.resize(read_image(bundle.path(bundle.manifest.golden[0].frame)), FRAME_WH)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "pan.mp4")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), _FPS, FRAME_WH)
        if not writer.isOpened():
            raise SourceError("bench --end-to-end needs an OpenCV that writes MPEG-4 videos")
        for index in range(frames):
            writer.write(np.roll(still, index * _PAN, axis=1))
        writer.release()
        yield path
