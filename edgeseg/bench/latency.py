"""Times whole frames through bundles in turns, so that a busy machine slows all alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Final, Protocol

import numpy as np

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import name_device
from edgeseg.runtime.backends.placing import AUTO
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.result import DeviceTimes, Segmentation
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["BenchResult", "bench"]

WARM_UP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """How fast a bundle's variant segments whole frames on this machine.

    `bundle` is the folder, `backend` the engine and its version, `runs_on` its device. `p50_ms` and
    `p95_ms` are percentiles of the time of a whole frame in milliseconds, `fps` the frames a second
    at the median. `prepare_ms`, `infer_ms` and `mask_ms` are the medians of its three stages. Where
    a GPU makes whole frames, the stages hold its times, and `device` has the medians of its steps.

    `peak_rss_mb` is the peak memory, in MB (10^6 bytes), of another process that segments frames
    with this bundle alone: the process that times holds all bundles.
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
    runs_on: str
    device: DeviceTimes | None = None


class MeasureMemory(Protocol):
    """Measures the peak memory of a variant in MB, for frames of `height` x `width` pixels."""

    def __call__(
        self, bundle: Bundle, variant: VariantInfo, *, height: int, width: int
    ) -> float: ...


def bench(
    bundles: Sequence[Bundle],
    *,
    frames: int,
    memory: MeasureMemory,
    device: str = AUTO,
    progress: Progress = SILENT,
) -> list[BenchResult]:
    """Time each bundle's variant for this machine on the bundle's first golden frame.

    Each bundle segments its frame `frames` times after a warm-up. `device` restricts engines to
    devices of that name. Notes go to `progress`.

    Raises:
        GateMissedError: no variant of a bundle passes on this machine.
        BackendError: an engine is not installed, or fails.
    """
    with ExitStack() as stack:
        segmenters = [
            stack.enter_context(
                Segmenter(one, variant=choose_variant(one, device=device, progress=progress))
            )
            for one in bundles
        ]
        images = [read_golden_frame(one) for one in bundles]
        rows: list[list[Segmentation]] = [[] for _ in bundles]
        for turn in range(WARM_UP + frames):
            for segmenter, image, row in zip(segmenters, images, rows, strict=True):
                found = segmenter.segment(image)
                if turn >= WARM_UP:
                    row.append(replace(found, mask=found.mask[:0], overlay=None))  # times alone
        return [
            _summarize(
                segmenter,
                row,
                memory(segmenter.bundle, segmenter.variant, height=height, width=width),
            )
            for segmenter, row, (height, width, _) in zip(
                segmenters, rows, (image.shape for image in images), strict=True
            )
        ]


def _summarize(
    segmenter: Segmenter,
    frames: Sequence[Segmentation],
    peak_rss_mb: float,
) -> BenchResult:
    stages = np.array([(one.prepare_ms, one.infer_ms, one.mask_ms) for one in frames])
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
        runs_on=name_device(segmenter.bundle.manifest.target, segmenter.variant),
        device=_take_medians([one.device for one in frames if one.device is not None]),
    )


def _take_medians(times: Sequence[DeviceTimes]) -> DeviceTimes | None:
    if not times:
        return None
    rows = [asdict(one) for one in times]
    return DeviceTimes(**{step: float(np.median([row[step] for row in rows])) for step in rows[0]})
