"""Frame in, mask out: one bundle, one engine, the shared definition of pixels."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from edgeseg.bundle import Bundle
from edgeseg.errors import SourceError
from edgeseg.manifest import VariantInfo
from edgeseg.pixels import (
    Bgr,
    ClassMap,
    Logits,
    Output,
    covered_share,
    resize_ids,
    to_input,
    to_mask,
)
from edgeseg.runtime.backend import NOBODY, Backend, Watcher, open_backend
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeseg.runtime.live import Retry
    from edgeseg.runtime.result import Result

__all__ = ["Segmentation", "Segmenter", "mask_of", "segment_frame"]

_LOGITS_DIMENSIONS: Final = 4  # (1, classes, h, w); class ids are (1, H, W)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A frame's mask, at the frame's own size, and what it cost in milliseconds."""

    mask: ClassMap
    prepare_ms: float
    infer_ms: float
    mask_ms: float


def segment_frame(backend: Backend, spec: InputSpec, frame: Bgr) -> Segmentation:
    """One frame through pixels, engine and pixels again."""
    begun = time.perf_counter()
    network_input = to_input(frame, spec)
    prepared = time.perf_counter()
    output = backend.infer(network_input)
    inferred = time.perf_counter()
    mask = mask_of(output, spec, frame)
    masked = time.perf_counter()
    return Segmentation(
        mask=mask,
        prepare_ms=1e3 * (prepared - begun),
        infer_ms=1e3 * (inferred - prepared),
        mask_ms=1e3 * (masked - inferred),
    )


def mask_of(output: Output, spec: InputSpec, frame: Bgr) -> ClassMap:
    """What an engine gave for a frame, as class ids at the frame's own size."""
    height, width = frame.shape[:2]
    share = covered_share(height, width, spec)
    if output.ndim == _LOGITS_DIMENSIONS:
        return to_mask(cast("Logits", output), height=height, width=width, share=share)
    return resize_ids(cast("ClassMap", output[0]), height=height, width=width, share=share)


def _check(frame: object) -> None:
    if isinstance(frame, np.ndarray):
        if frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 and frame.size:
            return
        given = f"{frame.dtype} {frame.shape}"
    else:
        given = type(frame).__name__
    raise SourceError(f"a frame is uint8 BGR (height, width, 3), as OpenCV reads it; got {given}")


class Segmenter:
    """Segments one frame at a time. Not thread-safe.

    with Segmenter(open_bundle(folder)) as segmenter:
        mask = segmenter.segment(frame).mask  # (H, W) class ids for a (H, W, 3) BGR frame
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        variant: VariantInfo | None = None,
        threads: int | None = None,
        watcher: Watcher = NOBODY,
    ) -> None:
        """Open the variant named, or the bundle's chosen one; see `open_backend`."""
        self.bundle = bundle
        self.variant = variant or bundle.chosen
        self.backend: Backend = open_backend(
            bundle, variant=self.variant, threads=threads, watcher=watcher
        )

    def segment(self, frame: Bgr) -> Segmentation:
        """Segment a uint8 BGR (H, W, 3) image of any size.

        Raises:
            SourceError: the frame is something else.
            BackendError: the engine fails.
        """
        _check(frame)
        return segment_frame(self.backend, self.bundle.manifest.input, frame)

    def stream(self, source: str | int, *, retry: Retry | None = None) -> Iterator[Result]:
        """Segment a source frame by frame: a camera's number, or what `edgeseg run --source` takes.

        Of a live source the newest frame each time. The source is released at the end, and also
        when whoever iterates stops early and closes or forgets the iterator. A camera or stream
        that is lost is opened again as `retry` says; not at all by default.

        Raises:
            SourceError: it is not there, or broke off.
            BackendError: the engine failed on ten frames in a row.
        """
        from edgeseg.homes import expand_home
        from edgeseg.runtime.live import Retry
        from edgeseg.runtime.pipeline import stream
        from edgeseg.runtime.sources import open_source

        uri = source if isinstance(source, int) else expand_home(source)
        with open_source(uri, retry=retry or Retry()) as feed, stream(self, feed) as results:
            yield from results

    def close(self) -> None:
        """Release the engine."""
        self.backend.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
