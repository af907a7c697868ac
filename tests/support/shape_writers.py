"""Writes the street scenes in each form of a data set whose truth is shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from form_writers import Form
from forms import LABELS, VOID, draw_scenes, save_image
from pycocotools import mask as coco

Encode = Callable[[np.ndarray], dict[str, Any]]


def compress(mask: np.ndarray) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask, (H, W)."""
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def count_runs(flat: np.ndarray) -> list[int]:
    """The lengths of the runs of a flat mask, of which the first is outside."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int), [2]])))
    return np.diff(np.concatenate([[0], ends])).tolist()


def list_runs(mask: np.ndarray) -> dict[str, Any]:
    """COCO's run lengths of a mask, (H, W), as a list."""
    return {"size": list(mask.shape), "counts": count_runs(mask.T.ravel())}


def describe_in_coco(encode: Encode, prefix: str = "") -> dict[str, Any]:
    """COCO's JSON of the scenes: a shape a class, and ids of categories with gaps."""
    images, annotations = [], []
    for scene in draw_scenes():
        height, width = scene.ids.shape
        own = len(images) + 10
        name = f"{prefix}{scene.name}.png"
        images.append({"id": own, "file_name": name, "height": height, "width": width})
        annotations += [
            {
                "id": len(annotations) + int(one),
                "image_id": own,
                "category_id": 3 * int(one) + 2,
                "iscrowd": 0,
                "segmentation": encode(scene.ids == one),
            }
            for one in np.unique(scene.ids)
            if one != VOID
        ]
    categories = [
        {"id": 3 * own + 2, "name": name, "supercategory": "street"}
        for own, name in reversed(list(enumerate(LABELS.classes)))
    ]
    above = {"id": 0, "name": "street", "supercategory": "none"}
    return {"images": images, "annotations": annotations, "categories": [above, *categories]}


def write_coco(file: Path, images: Path, encode: Encode = compress, prefix: str = "") -> None:
    """Write COCO's JSON of the scenes, and their images."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(describe_in_coco(encode, prefix)))
    for scene in draw_scenes():
        save_image(scene, images / f"{prefix}{scene.name}.png")


def put_coco(file: str, images: str) -> Callable[[Path, str], None]:
    """Make a writer of COCO's JSON to `file` and of images to the folder `images`."""

    def write(root: Path, split: str) -> None:
        write_coco(root / file.format(split), root / images.format(split), prefix=f"{split}_")

    return write


SHAPE_FORMS = {
    "COCO": Form(
        "coco",
        put_coco("annotations/instances_{}.json", "images/{}"),
        ("train2017", "val2017"),
    ),
    "Roboflow's COCO": Form(
        "coco", put_coco("{}/_annotations.coco.json", "{}"), ("train", "valid")
    ),
}
