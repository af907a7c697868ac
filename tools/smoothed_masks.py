"""Counts the masks that edgeseg takes for smoothed, as they are, and after each way to resize.

None should be where only the nearest pixel is taken, and all where values are mixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

import cv2

from edgeseg.cli.scripts import run_script
from edgeseg.datasets import open_dataset
from edgeseg.datasets.edges import looks_smoothed
from edgeseg.pixels import ClassMap

_NEAREST: Final = cv2.INTER_NEAREST
_MIXED: Final = cv2.INTER_LINEAR


def _turn(mask: ClassMap, interpolation: int) -> ClassMap:
    """Turn a mask by 0.4 degrees."""
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.4, 1)
    return cv2.warpAffine(
        mask, matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REPLICATE
    )


def _scale(mask: ClassMap, factor: float, interpolation: int) -> ClassMap:
    return cv2.resize(mask, None, fx=factor, fy=factor, interpolation=interpolation)


_WAYS: Final[dict[str, Callable[[ClassMap], ClassMap]]] = {
    "as they are": lambda mask: mask,
    "turned to the nearest": lambda mask: _turn(mask, _NEAREST),
    "half the size, nearest": lambda mask: _scale(mask, 0.5, _NEAREST),
    "an eighth of the size, nearest": lambda mask: _scale(mask, 0.125, _NEAREST),
    "blurred (sigma 0.6)": lambda mask: cv2.GaussianBlur(mask, (3, 3), 0.6),
    "turned linearly": lambda mask: _turn(mask, _MIXED),
    "half the size, linear": lambda mask: _scale(mask, 0.5, _MIXED),
    "1.37 of the size, linear": lambda mask: _scale(mask, 1.37, _MIXED),
}


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="as --data of edgeseg verify")
    parser.add_argument("--split")
    args = parser.parse_args()
    masks = [sample.mask for sample in open_dataset(args.data, split=args.split)]
    for name, change in _WAYS.items():
        found = sum(looks_smoothed(change(mask)) for mask in masks)
        print(f"{name:32}{found:5} of {len(masks)}")


if __name__ == "__main__":
    run_script(main)
