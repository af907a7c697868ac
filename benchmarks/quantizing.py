"""Calibrates checkpoints as an export does, and measures INT8 graphs against their FP32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.bundle.manifest import Accuracy
from edgeseg.calibration.light import light_every_other
from edgeseg.calibration.observe import Tap, observe, resume_observation
from edgeseg.calibration.ranges import ESTIMATORS, Range, Statistics
from edgeseg.calibration.sets import choose_calibration_set
from edgeseg.datasets import Dataset, Item
from edgeseg.export.checkpoint import Checkpoint
from edgeseg.export.graph import GELU_OPSET
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.pixels import Bgr, ClassMap, to_input
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.runtime.backends.backend import open_artifact

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = [
    "Calibrated",
    "calibrate",
    "list_frames",
    "make_float_graph",
    "make_meter",
    "observe_taps",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A checkpoint's FP32 graph, its percentile ranges for ONNX Runtime, and a meter for it.

    `images` is how many images the ranges come from. Graphs are written into `folder`.
    """

    graph: ModelProto
    ranges: Mapping[str, Range]
    images: int
    meter: Meter
    folder: Path

    def measure(self, recipe: Recipe, ranges: Mapping[str, Range]) -> Accuracy:
        """Quantize the graph with these ranges, and measure it against FP32."""
        path = self.folder / "int8.onnx"
        path.write_bytes(to_qdq(self.graph, recipe, ranges).SerializeToString())
        with closing(open_artifact("onnxruntime", path)) as engine:
            return self.meter.measure(engine)


def calibrate(
    checkpoint: Checkpoint, dataset: Dataset, *, source: str, images: int, folder: Path
) -> Calibrated:
    """Calibrate on images of `source`, and prepare to measure on the items of `dataset`."""
    graph = make_float_graph(checkpoint)
    fp32 = folder / "fp32.onnx"
    fp32.write_bytes(graph.SerializeToString())
    frames = list_frames(checkpoint, source, images)
    found = observe_taps(graph, find_taps(graph), frames, folder)
    return Calibrated(
        graph=graph,
        ranges={name: ESTIMATORS["percentile"](statistics) for name, statistics in found.items()},
        images=len(frames),
        meter=make_meter("onnxruntime", fp32, checkpoint, dataset),
        folder=folder,
    )


def make_float_graph(checkpoint: Checkpoint) -> ModelProto:
    """Make the FP32 graph that is deployed."""
    size = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=size.mean, std=size.std)
    return to_onnx(deployed, height=size.height, width=size.width, opset=GELU_OPSET)


def list_frames(
    checkpoint: Checkpoint, source: str, count: int, *, lit: bool = True
) -> Sequence[Callable[[], Frame]]:
    """List the calibration images of `source`, each read as the network's input when called.

    If they are `lit`, of every two one is in other light, as in an export.
    """
    chosen = choose_calibration_set(source, count=count)
    if lit:
        return light_every_other([one.image for one in chosen.pictures], checkpoint.input)
    return [
        partial(lambda one: to_input(one.image(), checkpoint.input), picture)
        for picture in chosen.pictures
    ]


def observe_taps(
    graph: ModelProto, taps: Sequence[Tap], frames: Sequence[Callable[[], Frame]], folder: Path
) -> Mapping[str, Statistics]:
    """Observe the taps of a graph on all frames; `folder` keeps the state, as an export does."""
    tapped = tap_graph(graph, taps)
    return observe(tapped, frames, resume_observation(tapped, taps, folder / "ranges.npz"))


def read_item(item: Item) -> tuple[Bgr, ClassMap | None]:
    """Read an item's image, uint8 (H, W, C), and its ground truth, (H, W)."""
    sample = item.read()
    return sample.image, sample.mask


def make_meter(target: str, fp32: Path, checkpoint: Checkpoint, dataset: Dataset) -> Meter:
    """Make a meter that compares with the graph `fp32`, on all items of `dataset`."""
    return Meter(
        images=list(enumerate(partial(read_item, item) for item in dataset.items)),
        labels=checkpoint.labels,
        ignore_index=(dataset.labels or checkpoint.labels).ignore_index,
        spec=checkpoint.input,
        masks=fp32.parent / "masks",
        open_reference=lambda: closing(open_artifact(target, fp32)),
    )
