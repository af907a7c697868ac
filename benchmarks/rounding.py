"""How much of an INT8 file's disagreement with FP32 each group of quantizers makes.

    python benchmarks/rounding.py BUNDLE DATA [--split test] [--images 9] [--contrast 0.2]

BUNDLE is one that `edgeseg export --int8` made. The INT8 file runs in PyTorch as a recovery runs
it: whole, then without any quantizer of activations, then without those of one group. With
`--contrast` images are faded to this share of their contrast. Prints a line of JSON for each: the
group, how many quantizers it has, the % of its values that they cut off (of the quantizer with the
most), the % of the pixels with FP32's class, and the mean IoU with FP32's masks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from recovery import find_file

from edgeseg.accuracy.metrics import confusion, mean_iou, pixel_agreement
from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import check_inputs, run_script
from edgeseg.datasets import open_dataset
from edgeseg.pixels import to_input
from edgeseg.recovery.network import Network
from edgeseg.recovery.program import Program, Quantization
from edgeseg.recovery.recover import read_program
from edgeseg.spec import check_number

if TYPE_CHECKING:
    from edgeseg.pixels import Bgr, ClassMap, Frame


def main() -> None:
    """Print a line of JSON for each group.

    Raises:
        BundleError: there is no bundle.
        DatasetError: there is no data set.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="a bundle with an INT8 variant")
    parser.add_argument("data", help="a data set to measure on")
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=9, help="take at least so many, evenly")
    parser.add_argument("--contrast", type=float, default=1.0, help="the share that is left")
    arguments = parser.parse_args()
    check_number("--images", arguments.images, least=1, whole=True)
    if not 0 < arguments.contrast <= 1:
        parser.error(f"--contrast is a share above 0, and 1 at most; got {arguments.contrast:g}")
    check_inputs(parser, arguments.bundle)
    bundle = open_bundle(arguments.bundle)
    variants = bundle.manifest.variants
    try:
        trained = next((v for v in variants if v.recovery is not None), None)
        own = find_file(bundle, "int8") if trained is None else bundle.path(trained.file)
        exact = find_file(bundle, "fp32")
    except StopIteration:
        parser.error(f"{arguments.bundle} has no INT8 file, or no exact FP32 one")
    spec = bundle.manifest.input
    dataset = open_dataset(arguments.data, split=arguments.split).read_as(spec.channels)
    images = [item.image() for item in dataset.take_evenly(arguments.images).items]
    frames = [to_input(fade(image, arguments.contrast), spec) for image in images]
    teacher, student = Network(read_program(exact)), read_program(own)
    wanted = [classify(teacher, frame) for frame in frames]
    classes = len(bundle.manifest.labels.classes)
    groups = group_activations(student)
    everything = [name for names in groups.values() for name in names]
    network = Network(student)
    cut_off = measure_cut_off(network, frames)
    for group, names in {"none": [], "all activations": everything, **groups}.items():
        found = [classify(network, frame, names) for frame in frames]
        counts = sum(
            confusion(w, f, classes=classes, ignore_index=classes)
            for w, f in zip(wanted, found, strict=True)
        )
        agreement = np.mean([pixel_agreement(w, f) for w, f in zip(wanted, found, strict=True)])
        row = {
            "benchmark": "rounding",
            "contrast": arguments.contrast,
            "not quantized": group,
            "quantizers": len(names),
            "cut_off": round(max((cut_off[name] for name in names), default=0.0), 3),
            "images": len(frames),
            "agreement": round(float(agreement), 2),
            "agreement_iou": round(mean_iou(np.asarray(counts)), 2),
        }
        print(json.dumps(row))
        sys.stdout.flush()


def group_activations(program: Program) -> dict[str, list[str]]:
    """Group the quantizers of what is no constant by their names, without stage and block."""
    groups: dict[str, list[str]] = defaultdict(list)
    for step in program.steps:
        if isinstance(step, Quantization) and step.source not in program.constants:
            place = re.sub(r"_QuantizeLinear.*|_0_0/nncf.*|/fq_.*", "", step.name)
            groups[re.sub(r"stage\d\.|block\d+\.", "", place)].append(step.output)
    return dict(sorted(groups.items()))


def fade(image: Bgr, left: float) -> Bgr:
    """Lower the contrast of an image around the mean of each channel."""
    mean = image.mean(axis=(0, 1), keepdims=True)
    return np.rint(np.clip(mean + left * (image - mean), 0, 255)).astype(np.uint8)


@torch.no_grad()
def measure_cut_off(network: Network, frames: Sequence[Frame]) -> Mapping[str, float]:
    """Measure which % of the values each quantizer cuts off, by its output."""
    shares: dict[str, list[float]] = defaultdict(list)

    def look(x: torch.Tensor, step: torch.Tensor, way: Quantization) -> None:
        low, high = (torch.from_numpy(end) for end in (way.lowest, way.highest))
        whole = x / step
        outside = (whole < low - 0.5) | (whole > high + 0.5)
        shares[way.output].append(100 * outside.float().mean().item())

    for frame in frames:
        network(torch.tensor(frame), instead=look)
    return {name: float(np.mean(found)) for name, found in shares.items()}


@torch.no_grad()
def classify(network: Network, frame: Frame, left_out: Collection[str] = ()) -> ClassMap:
    """Compute the class ids of a network's input, at the size of its logits.

    Quantizers with the outputs `left_out` hand on what they get.
    """

    def pass_on(x: torch.Tensor, _: torch.Tensor, way: Quantization) -> torch.Tensor | None:
        return x if way.output in left_out else None

    logits = network(torch.tensor(frame), instead=pass_on).logits
    ids: ClassMap = logits[0].argmax(0).numpy().astype(np.uint16)
    return ids


if __name__ == "__main__":
    run_script(main)
