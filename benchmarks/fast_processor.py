"""transformers' fast image processor against Pillow: its pixels, and what they do to a mask.

    python benchmarks/fast_processor.py CHECKPOINT IMAGES

The fast processor resizes by torchvision, which calls torch's antialiased interpolation: on bytes
where the CPU has AVX2, else (and on a GPU) on floats that are rounded to bytes again. Each line is
for one filter and one of the two ways: the largest difference of a pixel's value from Pillow's, in
255ths, the share of the values that differ, and the share of the mask's pixels that get another
class by it. Both ways pick the same pixels as the nearest.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
import torch
from alternating import report
from torch.nn import functional

from edgeseg.cli.scripts import run_script
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.export.reference import compute_logits
from edgeseg.images import list_files, read_image
from edgeseg.pixels import Bgr, ClassMap, to_input, to_mask
from edgeseg.spec import Resize

# torch's names of the filters.
MODES: Final = {
    Resize.PILLOW_BILINEAR: "bilinear",
    Resize.PILLOW_BICUBIC: "bicubic",
    Resize.PILLOW_NEAREST: "nearest-exact",
}


def main() -> None:
    """Print a JSON line for each filter and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a trained checkpoint that resizes by Pillow")
    parser.add_argument("images", type=Path, help="a folder of images")
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.checkpoint)
    frames = [read_image(path) for path in list_files(options.images)]
    for rule, mode in MODES.items():
        for bytewise in (True,) if rule is Resize.PILLOW_NEAREST else (True, False):
            measure(checkpoint, frames, rule, mode, bytewise=bytewise)


def measure(
    checkpoint: Checkpoint, frames: list[Bgr], rule: Resize, mode: str, *, bytewise: bool
) -> None:
    """Compare one filter's pixels and masks over all frames."""
    spec = dataclasses.replace(checkpoint.input, resize=rule)
    largest, values, masks = 0, [], []
    for frame in frames:
        pillow = to_input(frame, spec)[0]
        fast = resize_by_torch(frame, spec.height, spec.width, mode, bytewise=bytewise)
        apart = np.abs(pillow.astype(int) - fast)
        largest = max(largest, int(apart.max()))
        values.append((apart > 0).mean())
        ours, theirs = (segment(checkpoint, image, *frame.shape[:2]) for image in (pillow, fast))
        masks.append((ours != theirs).mean())
    report(
        "fast_processor",
        filter=rule.value,
        computes_in="bytes" if bytewise else "floats",
        images=len(frames),
        largest_difference=largest,
        values_percent=round(100 * float(np.mean(values)), 3),
        mask_percent=round(100 * float(np.mean(masks)), 3),
        worst_mask_percent=round(100 * float(np.max(masks)), 3),
    )


def resize_by_torch(frame: Bgr, height: int, width: int, mode: str, *, bytewise: bool) -> Bgr:
    """Resize a frame as torchvision does, uint8 (H, W, 3) to uint8 (height, width, 3)."""
    pixels = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].contiguous()
    resized = functional.interpolate(
        pixels if bytewise else pixels.float(),
        (height, width),
        mode=mode,
        antialias=mode != "nearest-exact",
    )
    image: Bgr = resized.round().clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).numpy()
    return image


def segment(checkpoint: Checkpoint, image: Bgr, height: int, width: int) -> ClassMap:
    """Segment an image of the network's size, at another size."""
    logits = compute_logits(checkpoint.model, checkpoint.input, image)
    return to_mask(logits, height=height, width=width)


if __name__ == "__main__":
    run_script(main)
