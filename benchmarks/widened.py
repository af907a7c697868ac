"""A trained checkpoint with as many classes as ADE20K, whose masks look like real ones.

    python benchmarks/widened.py CHECKPOINT IMAGES -o FOLDER

The checkpoint's own classifier rows, and noisy copies of them up to 150 classes. The copies' bias
is lowered until together they win a little less than 2 % of the logits' positions on the images,
so that the masks keep their regions while 150 classes have to be told apart. Printed are that
share, the share of mixed cells, and how many classes compete in one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from alternating import report
from masks import summarize

from edgeseg.cli.scripts import check_inputs, run_script
from edgeseg.images import read_image

CLASSES = 150
SIDE = 512
WON = 0.019
# Of a row's own standard deviation: close enough to compete where the row itself does.
NOISE = 0.3


def main() -> None:
    """Write the checkpoint and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("images", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    check_inputs(parser, options.checkpoint, options.images)
    if options.output.exists():
        parser.error(f"{options.output} exists; choose another -o")
    report("widened", **widen(options.checkpoint, options.images, options.output))


def widen(checkpoint: str, images: Path, folder: Path) -> dict[str, object]:
    """Write the widened checkpoint in Hugging Face's form; tell what its masks are like."""
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessorPil

    size = {"height": SIDE, "width": SIDE}
    processor = SegformerImageProcessorPil.from_pretrained(checkpoint, size=size)
    model = SegformerForSemanticSegmentation.from_pretrained(checkpoint).float().eval()
    own = model.config.num_labels
    _add_copies(model, own)
    paths = sorted(images.iterdir())[::10]
    frames = [read_image(path)[:, :, ::-1] for path in paths]  # blue first; they want red first
    logits = _compute_logits(model, processor, frames)
    ahead = logits[:, own:].max(axis=1) - logits[:, :own].max(axis=1)
    lowered = np.quantile(ahead, 1 - WON)
    logits[:, own:] -= lowered
    with torch.no_grad():
        model.decode_head.classifier.bias[own:] -= float(lowered)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    rows = [summarize(one[None]) for one in logits]
    return {
        "checkpoint": str(checkpoint),
        "classes": CLASSES,
        "images": len(frames),
        "won_by_copies": round(float((logits.argmax(axis=1) >= own).mean()), 4),
        **{key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]},
    }


def _add_copies(model: torch.nn.Module, own: int) -> None:
    """Replace the classifier; the copies follow the checkpoint's own rows."""
    old = model.decode_head.classifier
    random = torch.Generator().manual_seed(0)
    source = torch.arange(CLASSES - own) % own
    rows = old.weight.detach()[source]
    noise = torch.randn(rows.shape, generator=random) * rows.std(dim=1, keepdim=True)
    wide = torch.nn.Conv2d(old.in_channels, CLASSES, kernel_size=1)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([old.weight, rows + NOISE * noise]))
        wide.bias.copy_(torch.cat([old.bias, old.bias[source]]))
    model.decode_head.classifier = wide
    names = [model.config.id2label[index] for index in range(own)]
    names += [f"{names[index % own]} copy {index}" for index in range(CLASSES - own)]
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}


def _compute_logits(
    model: torch.nn.Module, processor: object, frames: list[np.ndarray]
) -> np.ndarray:
    found = []
    with torch.inference_mode():
        for frame in frames:
            pixels = processor(frame, return_tensors="pt")["pixel_values"]
            found.append(model(pixel_values=pixels).logits[0].numpy())
    return np.stack(found)


if __name__ == "__main__":
    run_script(main)
