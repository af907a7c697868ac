"""Measures what INT8 costs if the channels of a network differ in scale, but its function not.

    python benchmarks/outliers.py CHECKPOINT DATASET [--split test] [--size 512x512]
        [--images 50] [--measured 50] [--stage 1] [--channels 0 8 16 24] [--factor 6]
        [--recipes int8-full ...]

CHECKPOINT is a folder in Hugging Face's layout. The gain and bias of every LayerNorm of one stage
are divided by the factor in the named channels, and the weights that read these channels are
multiplied by it. LayerNorms of trained networks have such scales, and no range may depend on which
channels they are in. The unchanged checkpoint is measured first. Ranges are percentiles, for ONNX
Runtime.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alternating import report
from quantizing import calibrate

from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.datasets import open_dataset
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.quantize.recipes import RECIPES

if TYPE_CHECKING:
    import torch


def main() -> None:
    """Print a JSON line for each checkpoint and recipe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--size", type=parse_hw, default=(512, 512), metavar="HxW")
    parser.add_argument("--images", type=int, default=50, help="to calibrate on")
    parser.add_argument("--measured", type=int, default=50, help="images of the split")
    parser.add_argument("--stage", type=int, choices=(1, 2, 3, 4), default=1)
    parser.add_argument("--channels", type=int, nargs="+", default=[0, 8, 16, 24])
    parser.add_argument("--factor", type=float, default=6)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES)[1:], default=["int8-full"])
    options = parser.parse_args()
    measure(options.checkpoint, options, changed=[])
    with tempfile.TemporaryDirectory() as name:
        rescale(options.checkpoint, Path(name) / "rescaled", options)
        changed = [f"stage {options.stage}, channels {options.channels}, / {options.factor:g}"]
        measure(Path(name) / "rescaled", options, changed=changed)


def rescale(checkpoint: Path, folder: Path, options: argparse.Namespace) -> None:
    """Write a checkpoint of the same function with other scales into a new folder."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint, folder)
    weights = {k: v.float() for k, v in load_file(checkpoint / "model.safetensors").items()}
    stage = options.stage - 1
    prefix = f"segformer.encoder.block.{stage}"
    blocks = {key.split(".")[4] for key in weights if key.startswith(prefix + ".")}
    for block in sorted(blocks):
        attention = f"{prefix}.{block}.attention.self"
        reduced = f"{attention}.sr.weight" in weights
        readers = ["query.weight"] + (["sr.weight"] if reduced else ["key.weight", "value.weight"])
        scale(
            weights,
            f"{prefix}.{block}.layer_norm_1",
            [f"{attention}.{reader}" for reader in readers],
            options,
        )
        scale(
            weights,
            f"{prefix}.{block}.layer_norm_2",
            [f"{prefix}.{block}.mlp.dense1.weight"],
            options,
        )
    readers = [f"decode_head.linear_c.{stage}.proj.weight"]
    if stage < 3:
        readers.append(f"segformer.encoder.patch_embeddings.{stage + 1}.proj.weight")
    scale(weights, f"segformer.encoder.layer_norm.{stage}", readers, options)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def scale(
    weights: dict[str, torch.Tensor],
    norm: str,
    readers: Sequence[str],
    options: argparse.Namespace,
) -> None:
    """Divide a LayerNorm's output channels, and multiply the input channels of its readers."""
    for name in (f"{norm}.weight", f"{norm}.bias"):
        weights[name] = weights[name].clone()
        weights[name][options.channels] /= options.factor
    for name in readers:
        weights[name] = weights[name].clone()
        weights[name][:, options.channels] *= options.factor


def measure(path: Path, options: argparse.Namespace, *, changed: Sequence[str]) -> None:
    """Calibrate, quantize and measure against this checkpoint's own FP32."""
    checkpoint = read_checkpoint(str(path), size=options.size)
    dataset = open_dataset(options.dataset, split=options.split).require_complete()
    dataset = dataset.take_evenly(options.measured)
    with tempfile.TemporaryDirectory() as name:
        calibrated = calibrate(
            checkpoint, dataset, source=options.dataset, images=options.images, folder=Path(name)
        )
        for recipe in options.recipes:
            measured = calibrated.measure(RECIPES[recipe], calibrated.ranges)
            report(
                "outliers",
                dataset=dataset.title,
                size="x".join(map(str, options.size)),
                rescaled=list(changed),
                recipe=recipe,
                calibration_images=calibrated.images,
                images=measured.images,
                miou=round(measured.miou or 0, 2),
                drop=round(measured.drop or 0, 3),
                drop_95=[round(measured.drop_low or 0, 3), round(measured.drop_high or 0, 3)],
                pixel_agreement=round(measured.pixel_agreement, 3),
            )


if __name__ == "__main__":
    run_script(main)
