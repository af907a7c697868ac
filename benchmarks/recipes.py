"""Every INT8 recipe on a real checkpoint and a labelled data set: share, drop, agreement, speed.

    python benchmarks/recipes.py CHECKPOINT DATASET [--split test] [--target onnxruntime openvino]
        [--size 512x512] [--images 100] [--estimators percentile minmax mse entropy]
        [--recipes int8-linear ...] [--naive]

Accuracy on the whole split, calibration on the train split. `--naive` adds what the quantizers give
by their own defaults on the same graph. Latencies are ratios in alternating runs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from alternating import report
from quantizing import list_frames, make_float_graph, make_meter, observe_taps

from edgeseg.calibration.ranges import ESTIMATORS
from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.datasets import Dataset, open_dataset
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.pixels import to_input
from edgeseg.quantize.attention import fuse_attention
from edgeseg.quantize.meter import measure_speed
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.openvino import quantize_openvino, quiet_nncf
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.runtime.backends.openvino import list_float_types

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

Entry = tuple[str, Path, str]  # name, file, float type


def main() -> None:
    """Print a JSON line an entry."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--size",
        type=parse_hw,
        metavar="HxW",
        help="height x width; the checkpoint's own by default",
    )
    parser.add_argument("--target", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=["percentile"])
    parser.add_argument(
        "--recipes", nargs="+", choices=list(RECIPES)[1:], default=list(RECIPES)[1:]
    )
    parser.add_argument("--naive", action="store_true")
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.checkpoint, size=options.size)
    dataset = open_dataset(options.dataset, split=options.split).require_complete()
    frames = list_frames(checkpoint, options.dataset, options.images)
    for target in options.target:
        with tempfile.TemporaryDirectory() as folder:
            entries = make(target, Path(folder), checkpoint, frames, options)
            measure(target, Path(folder), checkpoint, dataset, entries, len(frames))


def make(
    target: str,
    folder: Path,
    checkpoint: Checkpoint,
    frames: Sequence[Callable[[], Frame]],
    options: argparse.Namespace,
) -> Iterator[Entry]:
    """FP32 first, then everything else, made when its turn comes."""
    graph = make_float_graph(checkpoint)
    plain = list_frames(checkpoint, options.dataset, options.images, lit=False)
    fp32 = folder / "fp32.onnx"
    # An export for ONNX Runtime computes attention as one operator, where its products are float.
    floats = fuse_attention(graph) if target == "onnxruntime" else graph
    fp32.write_bytes(floats.SerializeToString())
    yield "fp32", fp32, "f32"
    if target == "openvino":
        computes = list_float_types()
        yield from ((compute, fp32, compute) for compute in computes if compute != "f32")
        for name in options.recipes:
            recipe = RECIPES[name]
            path = folder / f"{recipe.name}.xml"
            quantize_openvino(graph, path, recipe, frames)
            yield from ((f"{recipe.name}+{c}", path, c) for c in computes)
        if options.naive:
            yield from quantize_naively_nncf(folder, fp32, plain)
        return
    found = observe_taps(graph, find_taps(graph), frames, folder)
    for estimator in options.estimators:
        ranges = {name: ESTIMATORS[estimator](s) for name, s in found.items()}
        for recipe in map(RECIPES.__getitem__, options.recipes):
            path = folder / f"{recipe.name}_{estimator}.onnx"
            int8 = fuse_attention(to_qdq(graph, recipe, ranges))
            path.write_bytes(int8.SerializeToString())
            yield f"{recipe.name}, {estimator}", path, "f32"
    if options.naive:
        spelled_out = folder / "spelled_out.onnx"
        spelled_out.write_bytes(graph.SerializeToString())
        yield quantize_naively_onnxruntime(folder, spelled_out, plain)


def quantize_naively_onnxruntime(
    folder: Path, fp32: Path, frames: Sequence[Callable[[], Frame]]
) -> Entry:
    """quantize_static as it is called in its documentation."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._frames = iter(frames)

        def get_next(self) -> dict[str, Frame] | None:
            read = next(self._frames, None)
            return None if read is None else {"image": read()}

    path = folder / "naive.onnx"
    quantize_static(str(fp32), str(path), Reader())
    return "onnxruntime quantize_static, defaults", path, "f32"


def quantize_naively_nncf(
    folder: Path, fp32: Path, frames: Sequence[Callable[[], Frame]]
) -> Iterator[Entry]:
    """nncf.quantize without and with its mode for transformers."""
    import nncf
    import openvino

    for name, kind in (("defaults", None), ("transformer mode", nncf.ModelType.TRANSFORMER)):
        path = folder / f"{name}.xml"
        model = openvino.Core().read_model(fp32)
        data = nncf.Dataset([read() for read in frames])
        with quiet_nncf():
            made = nncf.quantize(model, data, model_type=kind, subset_size=len(frames))
        openvino.save_model(made, path, compress_to_fp16=False)
        yield f"nncf, {name}", path, "f32"


def measure(
    target: str,
    folder: Path,
    checkpoint: Checkpoint,
    dataset: Dataset,
    entries: Iterator[Entry],
    calibrated_on: int,
) -> None:
    """Accuracy of each on the whole split, and its speed against FP32."""
    fp32 = folder / "fp32.onnx"
    meter = make_meter(target, fp32, checkpoint, dataset)
    frame = to_input(dataset.items[0].image(), checkpoint.input)
    for name, path, compute in entries:
        with closing(open_artifact(target, path, compute=compute)) as engine:
            found = meter.measure(engine)
            with closing(open_artifact(target, fp32)) as base:
                ratio, milliseconds = measure_speed(engine, base, frame)
        report(
            "recipes",
            target=target,
            size=f"{checkpoint.input.height}x{checkpoint.input.width}",
            variant=name,
            calibration_images=calibrated_on,
            images=found.images,
            int8_share=round(int8_share(path), 3),
            miou=round(found.miou or 0, 2),
            drop=round(found.drop or 0, 3),
            drop_95=[round(found.drop_low or 0, 3), round(found.drop_high or 0, 3)],
            worst_class=found.worst_class,
            worst_class_drop=round(found.worst_class_drop or 0, 2),
            pixel_agreement=round(found.pixel_agreement, 3),
            agreement_iou=round(found.agreement_iou, 2),
            ms=round(milliseconds / ratio, 1),
            ratio=round(ratio, 3),
        )


if __name__ == "__main__":
    run_script(main)
