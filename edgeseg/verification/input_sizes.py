"""Measures a checkpoint at several short sides: what a smaller image costs and what it saves.

Table 2 of the SegFormer paper does the same (Xie et al. 2021, arXiv:2105.15203). Accuracy is that
of the published network in PyTorch, by protocol `keep`. Latency is that of the graph that edgeseg
would export, in FP32 in ONNX Runtime, from a frame to its mask. The graph has the size to which the
first image is resized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.accuracy.metrics import mean_iou
from edgeseg.pixels import Bgr
from edgeseg.progress import SILENT, Progress, track
from edgeseg.reports.measured import SidePoint
from edgeseg.runtime import timing
from edgeseg.runtime.backends.checked import Checked
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.verification.protocols import rescale_size, segment_by
from edgeseg.verification.reader import Measured
from edgeseg.verification.subjects import CheckpointModel

if TYPE_CHECKING:
    from edgeseg.pixels import Logits

__all__ = ["measure_sides"]


def measure_sides(
    model: CheckpointModel,
    measured: Sequence[Measured],
    sides: Sequence[int],
    *,
    progress: Progress = SILENT,
) -> tuple[SidePoint, ...]:
    """Measure a point for each short side, in pixels, on images that were read before.

    Raises:
        MissingPackageError: there is no OpenCV, which the protocol resizes with.
    """
    frame = measured[0].item.image()
    sizes = {side: rescale_size(*frame.shape[:2], short_px=side) for side in sides}
    latencies = _time_sizes(model, frame, sizes, progress)
    return tuple(
        SidePoint(
            short_px=side,
            height=height,
            width=width,
            miou=_measure_miou(model, measured, side, progress),
            latency_ms=latencies[side],
        )
        for side, (height, width) in sizes.items()
    )


def _measure_miou(
    model: CheckpointModel, measured: Sequence[Measured], side: int, progress: Progress
) -> float:
    counts = Counts(model.labels, ignore_index=model.labels.ignore_index)
    for item in track(progress, f"short side {side}", [one.item for one in measured]):
        sample = item.read()
        mask = segment_by("keep", model, sample.image, short_px=side)
        counts.add(Masks(sample.mask, None, mask))
    return mean_iou(counts.candidate.total)


def _time_sizes(
    model: CheckpointModel,
    frame: Bgr,
    sizes: Mapping[int, tuple[int, int]],
    progress: Progress,
) -> dict[int, float]:
    """Time a whole frame at each size, in turns; return the medians in milliseconds."""
    with ExitStack() as stack:
        calls = {}
        for side, (height, width) in sizes.items():
            graph = _Graph(model, height, width)
            stack.callback(graph.close)
            calls[str(side)] = partial(segment_by, "keep", graph, frame, short_px=side)
        times = timing.alternate(calls, progress=progress)
    return {side: float(np.median(times[str(side)])) for side in sizes}


class _Graph:
    """The graph that edgeseg would export of a checkpoint, at one size."""

    def __init__(self, model: CheckpointModel, height: int, width: int) -> None:
        from edgeseg.export.graph import GELU_OPSET
        from edgeseg.export.segformer.rewrites import rewrite
        from edgeseg.export.segformer.to_onnx import to_onnx

        spec = model.input
        deployed = rewrite(model.checkpoint.model, mean=spec.mean, std=spec.std)
        graph = to_onnx(deployed, height=height, width=width, opset=GELU_OPSET)
        self.name = f"{model.name} as a graph"
        self.size = (height, width)
        self.input = replace(spec, height=height, width=width)
        self._engine = Checked(OrtBackend(graph.SerializeToString()))

    def logits(self, image: Bgr, /) -> Logits:
        """Run the engine."""
        return cast("Logits", self._engine.infer(image[None]))

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()
