"""Measures what `edgeseg run --reuse gated` saves and costs on a video, for several thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle.store import open_bundle
from edgeseg.errors import SourceError
from edgeseg.pixels import ClassMap, Frame, to_frame_mask, to_input
from edgeseg.progress import SILENT, Progress, Step, begin
from edgeseg.runtime.live.reuse import EXACT, Reuse, Reuser
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.segmenter import Segmenter, check_takes_color
from edgeseg.runtime.sources import Captured, Source, open_source
from edgeseg.runtime.sources.options import Retry
from edgeseg.verification.request import VerifyRequest

__all__ = ["TARGET", "WORTH", "FactorResult", "ReuseResult", "measure_reuse"]

# A threshold fits if at least so many % of the pixels are as without reuse, over all frames.
TARGET: Final = 99.5
# A gate that saves fewer frames, in %, beyond the identical ones is not worth its risk.
WORTH: Final = 5.0
_FACTORS: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorResult:
    """What a gate of one factor did. All but `factor` are in %.

    `reused` is a share of the frames. The others are shares of a frame's pixels that have the class
    that they have without reuse: the mean over all frames, the 1st percentile and the lowest.
    """

    factor: float
    reused: float
    agreement: float
    agreement_p1: float
    agreement_lowest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseResult:
    """What reuse does on one video; percentages as in `FactorResult`.

    `identical` is the share of frames that are reused by every run, without a gate. `steadiness` is
    the mean agreement of two consecutive frames, both computed. `fits` is the largest factor up to
    which the agreement is at least `TARGET`; None where that saves fewer frames than `WORTH`.
    """

    bundle: str
    engine: str
    precision: str
    video: str
    frames: int
    identical: float
    steadiness: float
    factors: tuple[FactorResult, ...]
    fits: float | None


def measure_reuse(request: VerifyRequest, *, progress: Progress = SILENT) -> ReuseResult:
    """Compute every frame of a video, and let a gate of each factor choose among the masks.

    Raises:
        BundleError: what is asked about is not a bundle.
        GateMissedError: no variant of the bundle works here.
        SourceError: the video cannot be read or has no two frames, or the bundle takes other
            frames than a video's.
        BackendError: the engine fails.
    """
    bundle, video, threads = open_bundle(Path(request.source)), request.video, request.threads
    check_takes_color(bundle)
    with open_source(str(video), retry=Retry(say=progress.say)) as source:
        if source.live or source.length is None:
            raise SourceError(f"{video} does not end; name a video, or a folder of images")
        variant = choose_variant(bundle, device=request.device, progress=progress)
        with Segmenter(bundle, variant=variant, threads=threads, progress=progress) as segmenter:
            step = begin(progress, "segmenting", source.length, "frame")
            trials, steady = _watch(segmenter, source, step)
            engine = segmenter.backend.name
    if not steady:
        raise SourceError(f"{video} has no two frames of one size; name a longer video")
    exact, *gated = trials
    factors = tuple(one.summarize(factor) for one, factor in zip(gated, _FACTORS, strict=True))
    return ReuseResult(
        bundle=request.source,
        engine=engine,
        precision=variant.precision,
        video=str(video),
        frames=exact.frames,
        identical=exact.reused_percent,
        steadiness=100 * float(np.mean(steady)),
        factors=factors,
        fits=_find_fitting(factors, exact.reused_percent),
    )


def _watch(segmenter: Segmenter, source: Source, step: Step) -> tuple[list[_Trial], list[float]]:
    """Compute each frame's mask; return trials of all ways to reuse, and how steady masks are."""
    trials = [_Trial(reuse) for reuse in (EXACT, *(Reuse(factor=one) for one in _FACTORS))]
    steady: list[float] = []
    before: ClassMap | None = None
    for captured in source.frames:
        network_input = to_input(captured.image, segmenter.input)
        output = segmenter.backend.infer(network_input)
        mask = to_frame_mask(output, segmenter.input, captured.image)
        if before is not None and before.shape == mask.shape:
            steady.append(float(np.mean(before == mask)))
        before = mask
        for trial in trials:
            trial.see(network_input, captured, mask)
        step()
    return trials, steady


class _Trial:
    """Compares the masks that a run would give with those of every frame computed."""

    def __init__(self, reuse: Reuse) -> None:
        self._reuser: Reuser[ClassMap] = Reuser(reuse, lambda _network_input: self._mask)
        self._mask: ClassMap
        self._agreements: list[float] = []
        self._reused = 0

    def see(self, network_input: Frame, captured: Captured, mask: ClassMap) -> None:
        """Let the run compute the frame, which gives `mask`, or reuse a mask."""
        self._mask = mask
        given, reused = self._reuser.find_output(network_input, captured)
        self._reused += reused
        self._agreements.append(float(np.mean(given == mask)) if reused else 1.0)

    @property
    def frames(self) -> int:
        return len(self._agreements)

    @property
    def reused_percent(self) -> float:
        return 100 * self._reused / self.frames

    def summarize(self, factor: float) -> FactorResult:
        percents = 100 * np.array(self._agreements)
        return FactorResult(
            factor=factor,
            reused=self.reused_percent,
            agreement=float(percents.mean()),
            agreement_p1=float(np.percentile(percents, 1)),
            agreement_lowest=float(percents.min()),
        )


def _find_fitting(factors: Sequence[FactorResult], identical: float) -> float | None:
    fitting = list(takewhile(lambda one: one.agreement >= TARGET, factors))
    saves = bool(fitting) and fitting[-1].reused - identical >= WORTH
    return fitting[-1].factor if saves else None
