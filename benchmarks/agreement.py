"""Measures which agreement with FP32 goes with a drop of one mIoU point: the gate without labels.

    python benchmarks/agreement.py CHECKPOINT DATASET [--split test] [--images 100]

INT8 graphs become worse step by step, as their activations are clipped closer and closer. Each is
measured on the split, and the agreement at a drop of 1.0 is interpolated between the two nearest.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from alternating import report
from quantizing import calibrate

from edgeseg.calibration.ranges import Range
from edgeseg.cli.scripts import run_script
from edgeseg.datasets import open_dataset
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.quantize.recipes import RECIPES

# What is left of each range.
SHARES = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8)


def main() -> None:
    """Print a JSON line for each step, then one for a drop of one point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.checkpoint)
    dataset = open_dataset(options.dataset, split=options.split).require_complete()
    drops, agreements = [], []
    with tempfile.TemporaryDirectory() as name:
        calibrated = calibrate(
            checkpoint, dataset, source=options.dataset, images=options.images, folder=Path(name)
        )
        for share in SHARES:
            clipped = {
                tensor: Range(share * own.low, share * own.high)
                for tensor, own in calibrated.ranges.items()
            }
            measured = calibrated.measure(RECIPES["int8-linear"], clipped)
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
