"""What agreement with FP32 a drop of one mIoU point stands for: where the label-free gate lies.

    python benchmarks/agreement.py CHECKPOINT DATASET [--split test] [--images 100]

INT8 graphs are made worse step by step, by clipping activations ever closer, and measured on the
split; the agreement at a drop of 1.0 is interpolated between the two nearest.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from alternating import report

from edgeseg.calibration.observe import observe
from edgeseg.calibration.ranges import ESTIMATORS, Range
from edgeseg.calibration.sets import choose_calibration_set
from edgeseg.cli.scripts import run_script
from edgeseg.datasets import open_dataset
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.graph import GELU_OPSET
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.pixels import to_input
from edgeseg.quantize.meter import Meter, read_with_truth
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.runtime.backends.backend import open_artifact

SHARES = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8)


def main() -> None:
    """Print a JSON line a step, then the one that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.checkpoint)
    size = checkpoint.input
    dataset = open_dataset(options.dataset, split=options.split).require_complete()
    deployed = rewrite(checkpoint.model, mean=size.mean, std=size.std)
    graph = to_onnx(deployed, height=size.height, width=size.width, opset=GELU_OPSET)
    chosen = choose_calibration_set(options.dataset, count=options.images)
    frames = [partial(lambda p: to_input(p.image(), size), picture) for picture in chosen.pictures]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fp32, path = folder / "fp32.onnx", folder / "worse.onnx"
        fp32.write_bytes(graph.SerializeToString())
        found = observe(
            tap_graph(graph, find_taps(graph)),
            find_taps(graph),
            frames,
            saved=folder / "r.npz",
        )
        ranges = {name: ESTIMATORS["percentile"](s) for name, s in found.items()}
        meter = Meter(
            images=list(enumerate(partial(read_with_truth, item) for item in dataset.items)),
            labels=checkpoint.labels,
            ignore_index=(dataset.labels or checkpoint.labels).ignore_index,
            spec=size,
            masks=folder / "masks",
            open_reference=lambda: open_artifact("onnxruntime", fp32),
        )
        drops, agreements = [], []
        for share in SHARES:
            worse = {n: Range(share * r.low, share * r.high) for n, r in ranges.items()}
            path.write_bytes(to_qdq(graph, RECIPES["int8-linear"], worse).SerializeToString())
            with closing(open_artifact("onnxruntime", path)) as engine:
                measured = meter.measure(engine)
            drops.append(measured.drop or 0.0)
            agreements.append(measured.pixel_agreement)
            report(
                "agreement",
                dataset=dataset.title,
                images=measured.images,
                ranges=share,
                drop=round(drops[-1], 3),
                pixel_agreement=round(agreements[-1], 3),
                agreement_iou=round(measured.agreement_iou, 2),
            )
    order = np.argsort(drops)
    at_one = float(np.interp(1.0, np.array(drops)[order], np.array(agreements)[order]))
    report(
        "agreement", dataset=dataset.title, drop=1.0, interpolated_pixel_agreement=round(at_one, 2)
    )


if __name__ == "__main__":
    run_script(main)
