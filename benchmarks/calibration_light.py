"""What INT8 loses in bad light, calibrated in good light alone and in other light, too.

    python benchmarks/calibration_light.py CHECKPOINT DATASET [--target openvino] [--images 100]

`int8-full` is made twice: from the calibration images as they are, and, as an export does, with
one of every two in other light. Both are measured against FP32 on the whole split, as it is and
under corruptions. Prints a line of JSON for each.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alternating import report
from quantizing import list_frames, make_float_graph, make_meter, observe_taps

from edgeseg.calibration.ranges import ESTIMATORS
from edgeseg.cli.scripts import run_script
from edgeseg.corruptions import corrupt
from edgeseg.datasets import open_dataset
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.pixels import Bgr, ClassMap, Frame
from edgeseg.quantize.attention import fuse_attention
from edgeseg.quantize.meter import Meter, Read
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.openvino import quantize_openvino
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.spec import check_number

if TYPE_CHECKING:
    from onnx import ModelProto

TARGETS: Final = ("onnxruntime", "openvino")
CONDITIONS: Final = (
    ("clean", 0),
    ("contrast", 1),
    ("contrast", 2),
    ("fog", 1),
    ("brightness", 2),
    ("defocus_blur", 2),
)


def main() -> None:
    """Print a line of JSON for each target, calibration and condition."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("dataset", help="a data set with a train split to calibrate on")
    parser.add_argument("--split", default="test")
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    check_number("--images", options.images, least=2, whole=True)
    checkpoint = read_checkpoint(options.checkpoint)
    dataset = open_dataset(options.dataset, split=options.split).require_complete()
    for target in options.target:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            graph = make_float_graph(checkpoint)
            fp32 = folder / "fp32.onnx"
            fp32.write_bytes(graph.SerializeToString())
            clean = make_meter(target, fp32, checkpoint, dataset)
            meters = {
                (kind, severity): worsen(clean, kind, severity, folder)
                for kind, severity in CONDITIONS
            }
            for lit in (False, True):
                frames = list_frames(checkpoint, options.dataset, options.images, lit=lit)
                path = quantize(target, graph, frames, folder / ("lit" if lit else "plain"))
                measure(target, path, meters, lit=lit)


def quantize(
    target: str, graph: ModelProto, frames: Sequence[Callable[[], Frame]], folder: Path
) -> Path:
    """Write `int8-full` of a float graph for a target."""
    folder.mkdir()
    recipe = RECIPES["int8-full"]
    if target == "openvino":
        path = folder / "int8.xml"
        quantize_openvino(graph, path, recipe, frames)
        return path
    found = observe_taps(graph, find_taps(graph), frames, folder)
    ranges = {name: ESTIMATORS["percentile"](statistics) for name, statistics in found.items()}
    path = folder / "int8.onnx"
    path.write_bytes(fuse_attention(to_qdq(graph, recipe, ranges)).SerializeToString())
    return path


def worsen(meter: Meter, kind: str, severity: int, folder: Path) -> Meter:
    """Make a meter of the same images under a corruption; severity 0 leaves them as they are."""
    if severity == 0:
        return meter
    images = [(place, partial(read_worse, read, kind, severity)) for place, read in meter.images]
    return replace(meter, images=images, masks=folder / f"masks_{kind}_{severity}")


def read_worse(read: Read, kind: str, severity: int) -> tuple[Bgr, ClassMap | None]:
    """Read an image under a corruption, and its ground truth."""
    image, truth = read()
    return corrupt(image, kind, severity, seed=0), truth


def measure(target: str, path: Path, meters: dict[tuple[str, int], Meter], *, lit: bool) -> None:
    """Print what a file loses against FP32 in each condition, and beyond the clean drop."""
    clean = 0.0
    with closing(open_artifact(target, path)) as engine:
        for (kind, severity), meter in meters.items():
            found = meter.measure(engine)
            drop = found.drop or 0.0
            clean = drop if severity == 0 else clean
            report(
                "calibration_light",
                target=target,
                calibrated_in="other light, too" if lit else "good light",
                condition=f"{kind} {severity}" if severity else kind,
                images=found.images,
                reference_miou=round(found.reference_miou or 0, 2),
                drop=round(drop, 2),
                drop_95=[round(found.drop_low or 0, 2), round(found.drop_high or 0, 2)],
                extra_drop=round(drop - clean, 2),
                same_class=round(found.pixel_agreement, 2),
            )


if __name__ == "__main__":
    run_script(main)
