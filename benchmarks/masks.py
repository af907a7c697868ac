"""`to_mask` against PyTorch's interpolate and argmax.

    python benchmarks/masks.py [--checkpoint FOLDER --images FOLDER] [--rounds 15]

How much work a mask is depends on how many of its cells have a boundary in them, and on how many
classes compete there. With a trained checkpoint and images both are measured on real logits first
and printed. Then smooth random logits are made with the wanted share of mixed cells (a fifth, as
the CamVid model's masks have; 6 % for fewer, larger regions) and timed. Both numbers are printed
for them too. Each case is timed by both rules of upsampling: for `align-corners` PyTorch takes two
steps, and `one_step_pixels` counts the pixels that one step between the same positions changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from alternating import alternate, compare, compute_medians, report
from torch.nn import functional

from edgeseg.cli.scripts import run_script
from edgeseg.pixels import to_mask
from edgeseg.spec import Upsampling

_LISTED = 8
CASES = (
    {"classes": 150, "logits": (128, 128), "output": (512, 512), "mixed": 0.20},
    {"classes": 150, "logits": (128, 128), "output": (720, 960), "mixed": 0.20},
    {"classes": 19, "logits": (256, 512), "output": (1024, 2048), "mixed": 0.06},
)


def main() -> None:
    """Print a JSON line for the real logits, then one a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="a trained checkpoint, to measure real logits")
    parser.add_argument("--images", type=Path, help="a folder of images for it")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if options.checkpoint:
        measure_real(options.checkpoint, options.images)
    for case in CASES:
        logits = make_mixed_logits(case["classes"], case["logits"], share=case["mixed"])
        for upsampling in Upsampling:
            measure(logits, *case["output"], upsampling, rounds=options.rounds)


def measure(
    logits: torch.Tensor, height: int, width: int, upsampling: Upsampling, *, rounds: int
) -> None:
    """Time both on the same logits, and compare their masks."""
    values = logits.numpy()
    aligned = upsampling is Upsampling.ALIGN_CORNERS

    @torch.inference_mode()
    def by_torch() -> np.ndarray:
        first = (
            functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=True)
            if aligned
            else logits
        )
        size = (height, width)
        blended = functional.interpolate(first, size, mode="bilinear", align_corners=False)
        return blended.argmax(dim=1)[0].numpy()

    def by_edgeseg() -> np.ndarray:
        return to_mask(values, height=height, width=width, upsampling=upsampling)

    expected = by_torch()
    different = int(np.count_nonzero(expected != by_edgeseg()))
    one_step = blend_in_one_step(logits, height, width) if aligned else None
    times = alternate({"PyTorch": by_torch, "edgeseg": by_edgeseg}, rounds=rounds)
    report(
        "masks",
        classes=values.shape[1],
        logits=list(values.shape[2:]),
        output=[height, width],
        upsampling=upsampling.value,
        **summarize(values),
        different_pixels=different,
        **({} if one_step is None else {"one_step_pixels": int((one_step != expected).sum())}),
        torch_threads=torch.get_num_threads(),
        median_ms=compute_medians(times),
        comparisons=[compare(times, baseline="PyTorch", ours="edgeseg")],
    )


@torch.inference_mode()
def blend_in_one_step(logits: torch.Tensor, height: int, width: int) -> np.ndarray:
    """Make the mask of one bilinear step, between the positions that two steps would reach."""

    def locate(outputs: int, inputs: int) -> torch.Tensor:
        """Find the positions as `grid_sample` takes them: -1 to 1 with aligned corners."""
        middle = 4 * inputs
        positions = (torch.arange(outputs) + 0.5) * (middle / outputs) - 0.5
        return 2 * positions.clamp(0, middle - 1) / (middle - 1) - 1

    rows, columns = locate(height, logits.shape[2]), locate(width, logits.shape[3])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)[None]
    blended = functional.grid_sample(logits, grid, padding_mode="border", align_corners=True)
    return blended.argmax(dim=1)[0].numpy()


def measure_real(source: str, folder: Path) -> None:
    """Mixed cells and competing classes of a trained model."""
    from edgeseg.export.checkpoint import read_checkpoint
    from edgeseg.export.reference import normalize
    from edgeseg.images import read_image
    from edgeseg.pixels import to_input

    checkpoint = read_checkpoint(source)
    found = []
    for path in sorted(folder.iterdir())[::10]:
        frame = to_input(read_image(path), checkpoint.input)
        with torch.inference_mode():
            logits = checkpoint.model(normalize(frame, checkpoint.input)).numpy()
        found.append(summarize(logits))
    report(
        "real logits",
        classes=checkpoint.spec.classes,
        images=len(found),
        **{key: round(float(np.mean([row[key] for row in found])), 5) for key in found[0]},
    )


def summarize(logits: np.ndarray) -> dict[str, float]:
    """Share of cells whose four corners disagree, and classes that can win inside such a cell.

    Crowded cells have more than the eight that a GPU's kernels list for a cell (mask.cuh).
    """
    corners = [
        logits[0, :, y : y + logits.shape[2] - 1, x : x + logits.shape[3] - 1]
        for y in (0, 1)
        for x in (0, 1)
    ]
    winners = [corner.argmax(axis=0) for corner in corners]
    mixed = np.any([winner != winners[0] for winner in winners[1:]], axis=0)
    highest, lowest = np.maximum.reduce(corners), np.minimum.reduce(corners)
    competing = (highest >= lowest.max(axis=0)).sum(axis=0)
    return {
        "mixed_cells": round(float(mixed.mean()), 3),
        "competing_classes": round(float(competing[mixed].mean()), 2),
        "crowded_cells": round(float((competing > _LISTED).mean()), 5),
    }


def make_mixed_logits(classes: int, size: tuple[int, int], *, share: float) -> torch.Tensor:
    """Smooth random logits: the coarsest random field, upsampled, that has `share` mixed cells."""
    logits = torch.empty(0)
    for columns in range(2, size[1]):
        generator = torch.Generator().manual_seed(0)
        rows = max(2, columns * size[0] // size[1])
        coarse = 4 * torch.randn(1, classes, rows, columns, generator=generator)
        logits = functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
        if summarize(logits.numpy())["mixed_cells"] >= share:
            break
    return logits.contiguous()


if __name__ == "__main__":
    run_script(main)
