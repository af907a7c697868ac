"""Draws docs/images/scenes.jpg: frames of the demo's streets beside their ground truth."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from edgeseg.cli.scripts import run_script
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import DEMO_SPLITS
from edgeseg.labels import get_known_labels

COLUMNS, ROWS = 4, 3
HEIGHT, WIDTH = 240, 320


def main() -> None:
    """Write the sheet to the path given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="a .jpg or .png to write")
    options = parser.parse_args()
    if options.picture.suffix not in {".jpg", ".png"}:
        parser.error(f"{options.picture} is neither a .jpg nor a .png")
    if options.picture.exists():
        parser.error(f"{options.picture} exists; remove it, or give another name")
    palette = np.array(get_known_labels("camvid").palette, np.uint8)
    tiles = []
    for seed, frame in DEMO_SPLITS["val"].frames(COLUMNS * ROWS):
        drawn = draw_scene(seed, frame, height=HEIGHT, width=WIDTH)
        tiles.append(np.vstack([drawn.image[:, :, ::-1], palette[drawn.mask]]))
    rows = [np.hstack(tiles[row * COLUMNS : (row + 1) * COLUMNS]) for row in range(ROWS)]
    Image.fromarray(np.vstack(rows)).save(options.picture, quality=88)


if __name__ == "__main__":
    run_script(main)
