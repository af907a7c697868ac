"""How much of an INT8 file's disagreement with FP32 each group of quantizers makes.

    python benchmarks/rounding.py BUNDLE DATA [--split test] [--images 9]

BUNDLE is one that `edgeseg export --int8` made for ONNX Runtime. The INT8 file runs in
PyTorch as a recovery runs it: whole, then without any rounding of activations, then without that of
one group. Prints a line of JSON for each: the group, how many quantizers it has, the % of the
pixels with FP32's class, and the mean IoU with FP32's masks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
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
from edgeseg.recovery.program import Program, Quantization, Step
from edgeseg.recovery.recover import read_program

if TYPE_CHECKING:
    from edgeseg.pixels import ClassMap, Frame


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
    arguments = parser.parse_args()
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
    frames = [to_input(i.image(), spec) for i in dataset.take_evenly(arguments.images).items]
    teacher, student = read_program(exact), read_program(own)
    wanted = [classify(Network(teacher), frame) for frame in frames]
    classes = len(bundle.manifest.labels.classes)
    groups = group_activations(student)
    everything = [name for names in groups.values() for name in names]
    for group, names in {"none": [], "all activations": everything, **groups}.items():
        network = Network(leave_out(student, names))
        found = [classify(network, frame) for frame in frames]
        counts = sum(
            confusion(w, f, classes=classes, ignore_index=classes)
            for w, f in zip(wanted, found, strict=True)
        )
        agreement = np.mean([pixel_agreement(w, f) for w, f in zip(wanted, found, strict=True)])
        row = {
            "benchmark": "rounding",
            "not rounded": group,
            "quantizers": len(names),
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
            place = step.name.partition("_QuantizeLinear")[0]
            groups[re.sub(r"stage\d\.|block\d+\.", "", place)].append(step.output)
    return dict(sorted(groups.items()))


def leave_out(program: Program, outputs: Collection[str]) -> Program:
    """Return the program with quantizers that hand on what they get."""
    steps = tuple(
        Step(name=s.name, compute=lambda x: x, inputs=(s.source,), output=s.output)
        if isinstance(s, Quantization) and s.output in outputs
        else s
        for s in program.steps
    )
    return replace(program, steps=steps)


@torch.no_grad()
def classify(network: Network, frame: Frame) -> ClassMap:
    """Compute the class ids of a network's input, at the size of its logits."""
    ids: ClassMap = network(torch.tensor(frame)).logits[0].argmax(0).numpy().astype(np.uint16)
    return ids


if __name__ == "__main__":
    run_script(main)
