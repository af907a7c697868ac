"""CamVid as two classes, road and the rest, with masks of 0 and 1 and with masks of 0 and 255.

    python tools/road_other.py CHECKPOINT CAMVID FOLDER [--split test] [--every 1]

FOLDER then holds `checkpoint`, `plain` and `painted`: `edgeseg verify` gives the same figures for
the latter two. Of the classifier the road's row is kept and the others' mean is the rest: no better
model, but one of two classes that sees roads. Unlabeled pixels count as the rest.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from edgeseg.cli.scripts import run_script
from edgeseg.datasets import Dataset, FilePair, match_classes, open_dataset
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.huggingface import write_huggingface
from edgeseg.export.segformer.network import SegFormer
from edgeseg.images import write_mask
from edgeseg.labels import parse_labels

ROAD: Final = "Road"
LABELS: Final = parse_labels({"classes": ["other", "road"]}, origin="road_other")
WHITE: Final = 255


def main() -> None:
    """Write the checkpoint and both data sets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("camvid", help="a folder with splits (see edgeseg verify)")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    options = parser.parse_args()
    if options.folder.exists():
        raise SystemExit(f"{options.folder} exists; choose another folder")
    dataset = open_dataset(options.camvid, split=options.split)
    dataset = replace(dataset, items=dataset.items[:: options.every])
    write_two_classes(options.folder / "checkpoint", options.checkpoint)
    write_masks(options.folder / "plain", dataset, road=1)
    write_masks(options.folder / "painted", dataset, road=WHITE)
    print(f"{len(dataset)} images: {', '.join(str(p) for p in sorted(options.folder.iterdir()))}")


def write_two_classes(
    folder: Path, weights: str, *, height: int | None = None, width: int | None = None
) -> None:
    """The checkpoint as one of two classes, perhaps for another input size in pixels."""
    checkpoint = read_checkpoint(weights)
    road = checkpoint.labels.classes.index(ROAD)
    own = checkpoint.model.state_dict()
    merged = {
        name: _merge(value, road) if name.startswith("head.classifier.") else value
        for name, value in own.items()
    }
    model = SegFormer(replace(checkpoint.spec, classes=len(LABELS.classes)))
    model.load_state_dict(merged)
    spec = replace(
        checkpoint.input,
        height=height or checkpoint.input.height,
        width=width or checkpoint.input.width,
    )
    write_huggingface(folder, model.eval(), labels=LABELS, spec=spec)


def _merge(rows: torch.Tensor, road: int) -> torch.Tensor:
    """The mean of the other classes' rows, then the road's."""
    others = torch.cat([rows[:road], rows[road + 1 :]])
    return torch.stack([others.mean(dim=0), rows[road]])


def write_masks(folder: Path, dataset: Dataset, *, road: int) -> None:
    """The data set's images, linked, with masks of 0 and `road`."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    assert dataset.labels is not None
    matched, _ = match_classes(dataset, dataset.labels)
    place = dataset.labels.classes.index(ROAD)
    for lying, item in zip(dataset.items, matched.items, strict=True):
        assert isinstance(lying, FilePair)
        (folder / "images" / lying.image_path.name).symlink_to(lying.image_path.resolve())
        mask = (item.read().mask == place).astype("uint8") * road
        write_mask(mask, folder / "masks" / f"{lying.name}.png")


if __name__ == "__main__":
    run_script(main)
