"""Times whole frames through bundles in turns, so that a busy machine slows all alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.images import read_image
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.select import choose_variant

__all__ = ["BenchResult", "bench"]

WARM_UP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Milliseconds for a whole frame: prepare, infer, mask.

    `peak_rss_mb` is the peak memory of a process that segments frames with this bundle alone, in MB
    (10^6 bytes). The process that times holds all bundles.
    """

    bundle: str
    backend: str
    precision: str
    p50_ms: float
    p95_ms: float
    fps: float
    prepare_ms: float
    infer_ms: float
    mask_ms: float
    peak_rss_mb: float


class Memory(Protocol):
    """Measures the peak memory of a variant in MB, for frames of a size."""

    def __call__(
        self, bundle: Bundle, variant: VariantInfo, *, height: int, width: int
    ) -> float: ...


def bench(
    bundles: Sequence[Bundle], *, frames: int, memory: Memory, progress: Progress = SILENT
) -> list[BenchResult]:
    """Time each bundle's variant for this machine on its first golden frame.

    Each bundle segments the frame `frames` times after a warm-up. `choose_variant` says which
    errors it raises and which notes it prints.
    """
    with ExitStack() as stack:
        segmenters = [
            stack.enter_context(Segmenter(b, variant=choose_variant(b, progress=progress)))
            for b in bundles
        ]
        images = [read_image(b.path(b.manifest.golden[0].frame)) for b in bundles]
        times: list[list[tuple[float, float, float]]] = [[] for _ in bundles]
        for turn in range(WARM_UP + frames):
            for segmenter, image, row in zip(segmenters, images, times, strict=True):
                part = segmenter.segment(image)
                if turn >= WARM_UP:
                    row.append((part.prepare_ms, part.infer_ms, part.mask_ms))
        peaks = [
            memory(b, s.variant, height=image.shape[0], width=image.shape[1])
            for b, s, image in zip(bundles, segmenters, images, strict=True)
        ]
        return [
            _summarize(segmenter, np.array(row), peak)
            for segmenter, row, peak in zip(segmenters, times, peaks, strict=True)
        ]


def _summarize(
    segmenter: Segmenter,
    stages: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    peak_rss_mb: float,
) -> BenchResult:
    p50, p95 = np.percentile(stages.sum(axis=1), [50, 95])
    prepare, infer, mask = np.median(stages, axis=0)
    return BenchResult(
        bundle=str(segmenter.bundle.folder),
        backend=segmenter.backend.name,
        precision=segmenter.variant.precision,
        p50_ms=float(p50),
        p95_ms=float(p95),
        fps=float(1e3 / p50),
        prepare_ms=float(prepare),
        infer_ms=float(infer),
        mask_ms=float(mask),
        peak_rss_mb=peak_rss_mb,
    )
