"""Turns frames into masks, with one bundle and one engine."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import SourceError, SpecError
from edgeseg.pixels import Bgr, to_input
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import Backend, open_backend
from edgeseg.runtime.finish import PLAIN, Finish
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.landing import land
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.reuse import EXACT, check_reuse, parse_reuse
from edgeseg.runtime.live.ways import explain_host
from edgeseg.runtime.proof import open_proven_path
from edgeseg.runtime.region import read_region
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.options import Retry
from edgeseg.runtime.tiling import check_gives_logits, check_gives_scores, segment_tiled
from edgeseg.runtime.timing import time_call
from edgeseg.spec import RGB, InputSpec
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["Segmenter", "check_takes_color", "segment_frame"]


def segment_frame(
    backend: Backend,
    spec: InputSpec,
    frame: Bgr,
    finish: Finish = PLAIN,
    *,
    lane: Lane | None = None,
) -> Segmentation:
    """Segment one frame: make the input, run the engine, make what `finish` asks for.

    Where `lane` serves for that, the engine's device does all three.
    """
    if lane is not None and explain_host(finish, EXACT) is None and lane.fits(frame):
        flight, launch_ms = time_call(lane.launch, frame)
        if flight is not None:
            return land(flight, finish, host_ms=launch_ms)
    network_input, prepare_ms = time_call(to_input, frame, spec)
    output, infer_ms = time_call(backend.infer, network_input)
    return finish.segment(output, spec, frame, prepare_ms=prepare_ms, infer_ms=infer_ms)


def check_takes_color(bundle: Bundle) -> None:
    """Refuse a bundle that takes other frames than a camera's.

    Raises:
        SourceError: no camera, stream, video or picture gives its frames.
    """
    channels = bundle.manifest.input.channels
    if channels != RGB:
        raise SourceError(
            f"bundle {bundle.folder} takes images of {pluralize(channels, 'channel')}, and a "
            f"source gives frames of blue, green and red; measure it with edgeseg verify BUNDLE "
            f"--data DATASET, or give Python arrays: edgeseg.open(BUNDLE).segment(frame)"
        )


def _check(frame: object, channels: int) -> None:
    if isinstance(frame, np.ndarray):
        fits = frame.ndim == 3 and frame.shape[2] == channels
        if frame.dtype == np.uint8 and fits and frame.size:
            return
        given = f"{frame.dtype} {frame.shape}"
    else:
        given = type(frame).__name__
    wanted = "BGR (height, width, 3), as OpenCV reads it"
    if channels != RGB:
        wanted = f"(height, width, {channels}), with the channels that the network was trained on"
    raise SourceError(f"a frame is uint8 {wanted}; got {given}")


class Segmenter:
    """Segments one frame at a time. Not thread-safe.

    ```python
    with Segmenter(open_bundle(folder)) as segmenter:
        mask = segmenter.segment(frame).mask  # (H, W) class ids for a (H, W, 3) BGR frame
    ```
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        variant: VariantInfo | None = None,
        threads: int | None = None,
        progress: Progress = SILENT,
    ) -> None:
        """Open `variant`, or the bundle's chosen one.

        `threads` is the number of the engine's threads; by default one for each core.

        Raises:
            MissingPackageError: the variant's engine is not installed.
            BackendError: the engine refuses the variant.
        """
        self.bundle = bundle
        self.variant = variant or bundle.chosen
        self.backend: Backend = open_backend(
            bundle, variant=self.variant, threads=threads, progress=progress
        )
        with ExitStack() as stack:
            stack.callback(self.backend.close)
            self._lane: Lane | None = None
            self.path = open_proven_path(self.backend, bundle, say=progress.say)
            self.batch: FrameBatch | None = None  # see `use_batch`
            if self.path is not None:
                stack.callback(self.path.close)
                self._lane = Lane(self.path)
                stack.callback(self._lane.close)
            self._release = stack.pop_all()

    @property
    def input(self) -> InputSpec:
        """The size of the network's input, and how a frame becomes it."""
        return self.bundle.manifest.input

    def segment(
        self,
        frame: Bgr,
        *,
        tile: bool = False,
        scores: bool = False,
        roi: tuple[int, int, int, int] | None = None,
    ) -> Segmentation:
        """Segment a uint8 BGR (H, W, 3) image of any size.

        A bundle of a network for other than three channels takes (H, W, C), in the order of its
        training. With `tile`, an image larger than the network's input keeps its own resolution:
        the network sees it in windows that overlap, as `edgeseg run --tile` does. With `scores`,
        the result's `scores` say how sure the network is of each pixel, as `edgeseg run --scores`
        writes it. With `roi`, (top, left, height, width) in pixels, the network sees that part of
        the frame only, and the mask has the part's size.

        Raises:
            SourceError: the frame has another shape or dtype, or `roi` reaches beyond it.
            SpecError: `roi` is no region; or with `tile` or `scores`, the variant's graph ends in
                class ids.
            BackendError: the engine fails.
        """
        _check(frame, self.input.channels)
        if roi is not None:
            frame = read_region(roi).cut(frame)
        finish = self._plan(tile=tile, scores=scores)
        if tile:
            return segment_tiled(self.backend, self.input, frame, finish)
        return segment_frame(self.backend, self.input, frame, finish, lane=self._lane)

    def stream(
        self,
        source: str | Path | int,
        *,
        retry: Retry | None = None,
        tile: bool = False,
        scores: bool = False,
        roi: tuple[int, int, int, int] | None = None,
        reuse: str = "exact",
    ) -> Iterator[Result]:
        """Segment a source frame by frame: a camera's number, or what `edgeseg run --source` takes.

        With a live source, each result is of the newest frame. The source is released at the end,
        and also when the iterator is closed or dropped early. `retry` says how often a lost camera
        or stream is opened again; by default never. `tile`, `scores` and `roi` segment each frame
        as `segment` does with them; the scores of a result are `result.segmentation.scores`. With
        `roi`, each result's `captured.image` is that part of the frame, a view. `reuse` is what
        `edgeseg run --reuse` takes: with `exact`, a frame that looks the same to the network has
        the last mask; with `gated`, also one that differs by noise.

        Raises:
            SourceError: the source is not there, or broke off; or the bundle takes other frames
                than a camera's; or `roi` reaches beyond a frame.
            SpecError: several sources are given; or `roi` is no region; or with `tile` or `scores`,
                the variant's graph ends in class ids; or `reuse` is not known, or gated with
                `tile`.
            BackendError: the engine failed on ten frames in a row.
        """
        from edgeseg.files.homes import expand_home

        if isinstance(source, Iterable) and not isinstance(source, str):
            raise SpecError(
                f"stream takes one source, and {source!r} is no single one; several go to "
                f"edgeseg.run(source=[...])"
            )
        check_takes_color(self.bundle)
        finish = self._plan(tile=tile, scores=scores)
        reused = parse_reuse(reuse)
        check_reuse(reused, tile=tile)
        region = None if roi is None else read_region(roi)
        uri = source if isinstance(source, int) else expand_home(str(source))
        with open_source(uri, retry=retry or Retry()) as feed:
            if region is not None:
                feed = replace(feed, frames=region.cut_all(feed.frames))
            with stream(self, feed, finish=finish, reuse=reused) as results:
                yield from results

    def _plan(self, *, tile: bool, scores: bool) -> Finish:
        if tile:
            check_gives_logits(self.variant)
        if scores:
            check_gives_scores(self.variant)
        return Finish(tile=tile, scores=scores)

    def close(self) -> None:
        """Release the engine."""
        self._release.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
