"""Writes the network in what `count_arm.sh` compares: the Mix-FFN's forms, and INT8's signs.

    python benchmarks/arm_files.py CHECKPOINT DATASET FOLDER [--size 192x256] [--images 8]

In the new FOLDER, for `image` and `tokens`, the two forms of the Mix-FFN:

    exact-image.onnx          FP32 for OpenVINO
    exact-image-fused.onnx    FP32 for ONNX Runtime
    exact-image-u8.onnx       int8-linear for ONNX Runtime, with uint8 activations
    exact-image-s8.onnx       the same with int8 activations
    exact-image-nncf.xml      int8-linear for OpenVINO; for `image` alone
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from alternating import report
from quantizing import list_frames, observe_taps
from small_engines import open_named

from edgeseg.calibration.ranges import ESTIMATORS
from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.datasets import open_dataset
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.export.graph import GELU_OPSET
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.pixels import to_input
from edgeseg.quantize.attention import fuse_attention
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.openvino import quantize_openvino
from edgeseg.quantize.targets.tensorrt.forms import GraphForm, write_form

if TYPE_CHECKING:
    from onnx import ModelProto

RECIPE = RECIPES["int8-linear"]
# From uint8 to int8 of the same value: as far apart are their zero points.
SHIFT = 128
IMAGES_TO_COUNT = 2


def main() -> None:
    """Write all files, and print a JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=parse_hw, metavar="HxW", default=(192, 256))
    parser.add_argument("--images", type=int, default=8, help="to calibrate on")
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.checkpoint, size=options.size)
    options.folder.mkdir()
    dataset = open_dataset(options.dataset, split="test").take_evenly(IMAGES_TO_COUNT)
    frames = [to_input(sample.image, checkpoint.input)[0] for sample in dataset]
    np.save(options.folder / "images.npy", np.stack(frames))
    write_files(checkpoint, options.dataset, options.images, options.folder)
    report("arm files", size=list(options.size), images=options.images)


def write_files(checkpoint: Checkpoint, source: str, calibrated_on: int, folder: Path) -> None:
    """Write the network in both forms of the Mix-FFN, and what ONNX Runtime makes of the images."""
    spec = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    model = to_onnx(deployed, height=spec.height, width=spec.width, opset=GELU_OPSET)
    frames = list_frames(checkpoint, source, calibrated_on)
    for layout in ("image", "tokens"):
        written = write_form(model, GraphForm(tokens=layout == "tokens")).model
        path = folder / f"exact-{layout}.onnx"
        path.write_bytes(written.SerializeToString())
        save_fused(written, folder / f"exact-{layout}-fused.onnx")
        scratch = folder / f"exact-{layout}-ranges"
        scratch.mkdir()
        found = observe_taps(written, find_taps(written), frames, scratch)
        ranges = {name: ESTIMATORS["percentile"](one) for name, one in found.items()}
        unsigned = to_qdq(written, RECIPE, ranges)
        save_fused(unsigned, folder / f"exact-{layout}-u8.onnx")
        save_fused(to_signed(unsigned), folder / f"exact-{layout}-s8.onnx")
    quantize_openvino(model, folder / "exact-image-nncf.xml", RECIPE, frames)
    infer = open_named("onnxruntime", folder / "exact-image-fused.onnx", threads=1)
    logits = [infer(image) for image in np.load(folder / "images.npy")]
    np.save(folder / "exact-logits.npy", np.stack(logits))


def save_fused(model: ModelProto, path: Path) -> None:
    """Save with attention as one operator, as ONNX Runtime gets it."""
    path.write_bytes(fuse_attention(model).SerializeToString())


def to_signed(model: ModelProto) -> ModelProto:
    """Write activations as int8 in place of uint8, with the same scales: the same function."""
    from onnx import ModelProto, TensorProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    zeros = {
        node.input[2]
        for node in copy.graph.node
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}
    }
    for tensor in copy.graph.initializer:
        if tensor.name in zeros and tensor.data_type == TensorProto.UINT8:
            values = numpy_helper.to_array(tensor).astype(np.int16) - SHIFT
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.int8), tensor.name))
    return copy


if __name__ == "__main__":
    run_script(main)
