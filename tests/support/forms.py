"""A few street scenes with ground truth, written in any form, and what is counted on them.

Each form of a data set must give the very counts that the plain form gives: a folder of images, a
folder of masks of class ids, and a dataset.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from edgeseg.accuracy.metrics import Confusion, confusion
from edgeseg.datasets import Dataset, match_classes, open_dataset
from edgeseg.demo import draw_scene
from edgeseg.labels import Labels, get_known_labels
from edgeseg.pixels import Bgr, ClassMap

LABELS = get_known_labels("camvid")
VOID = 255


class Scene(NamedTuple):
    """An image, uint8 BGR (48, 64, 3), and its class ids, where `VOID` is not counted."""

    name: str
    image: Bgr
    ids: ClassMap


@cache
def draw_scenes() -> tuple[Scene, ...]:
    """Three scenes with a strip of void at the top."""
    scenes = []
    for seed in range(3):
        drawn = draw_scene(seed, 0, height=48, width=64)
        ids = drawn.mask.copy()
        ids[:4, :20] = VOID
        scenes.append(Scene(f"street{seed}", drawn.image, ids))
    return tuple(scenes)


def save_image(scene: Scene, path: Path) -> None:
    """Write the scene's image, in the format that the path's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.image[:, :, ::-1].copy()).save(path)


def save_ids(ids: ClassMap, path: Path) -> None:
    """Write ids as gray values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)


def save_painted(ids: ClassMap, path: Path, *, void: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Write ids in the colors of `LABELS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(ids, void=void)).save(path)


def paint(ids: ClassMap, *, void: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """Paint ids, (H, W), as uint8 RGB (H, W, 3)."""
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(LABELS.palette)] = LABELS.palette
    colors[VOID] = void
    return colors[ids]


def write_classes(folder: Path, **more: object) -> None:
    """Write a dataset.json that names the classes."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"classes": list(LABELS.classes)} | more
    (folder / "dataset.json").write_text(json.dumps(content))


def write_plain(folder: Path, save: Callable[[ClassMap, Path], None] = save_ids) -> Path:
    """Write images/ and masks/ with dataset.json."""
    for scene in draw_scenes():
        save_image(scene, folder / "images" / f"{scene.name}.png")
        save(scene.ids, folder / "masks" / f"{scene.name}.png")
    write_classes(folder)
    return folder


def count(dataset: Dataset, labels: Labels = LABELS) -> Confusion:
    """Count a made-up prediction, the same for each image, against a data set's ground truth."""
    matched, _ = match_classes(dataset.require_complete(), labels)
    classes = len(labels.classes)
    total = np.zeros((classes, classes), np.int64)
    for sample in matched:
        total += confusion(
            sample.mask,
            _predict(sample.image, classes),
            classes=classes,
            ignore_index=labels.ignore_index,
        )
    return total


def count_plain(folder: Path) -> Confusion:
    """Count the plain form, written into an empty folder."""
    return count(open_dataset(write_plain(folder)))


def _predict(image: Bgr, classes: int) -> ClassMap:
    """Make a class of each pixel's color, so that a wrong image shows as well as a wrong mask."""
    mixed = image.astype(np.int64) @ np.array([1, 7, 31])
    return (mixed % classes).astype(np.uint8)
