"""Writes the street scenes in each form that labelling tools export."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from form_writers import Form
from forms import LABELS, VOID, draw_scenes, save_ids, save_image
from PIL import Image
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


def paste_in_labelme(label: str, mask: np.ndarray) -> dict[str, Any]:
    """A mask, (H, W), as labelme's shape: a PNG in base64 between two corners."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    (top, bottom), (left, right) = (rows[[0, -1]].tolist(), columns[[0, -1]].tolist())
    file = io.BytesIO()
    Image.fromarray(mask[top : bottom + 1, left : right + 1].astype(np.uint8) * 255).save(
        file, format="PNG"
    )
    return {
        "label": label,
        "points": [[left, top], [right, bottom]],
        "shape_type": "mask",
        "mask": base64.b64encode(file.getvalue()).decode(),
    }


def describe_in_labelme(
    shapes: list[dict[str, Any]], image: str, size: tuple[int, int]
) -> dict[str, Any]:
    """labelme's JSON, with the bytes of an image that nobody needs."""
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": [{"group_id": None, "flags": {}} | shape for shape in shapes],
        "imagePath": image,
        "imageData": base64.b64encode(b"no image").decode(),
        "imageHeight": size[0],
        "imageWidth": size[1],
    }


def write_labelme(root: Path, split: str) -> None:
    """Write labelme's JSON beside each image: void is `__ignore__`, and all else is drawn."""
    for scene in draw_scenes():
        names = {own: LABELS.classes[own] for own in np.unique(scene.ids) if own != VOID}
        names[VOID] = "__ignore__"
        shapes = [paste_in_labelme(name, scene.ids == own) for own, name in names.items()]
        path = root / split / f"{split}_{scene.name}.png"
        save_image(scene, path)
        content = describe_in_labelme(shapes, path.name, scene.ids.shape)
        path.with_suffix(".json").write_text(json.dumps(content))
    names = ("__ignore__", "_background_", *LABELS.classes)
    (root / "labels.txt").write_text("\n".join(names))


def describe_in_cvat(images: list[str], labels: Sequence[str]) -> str:
    """CVAT's XML of images that are written already, and of labels."""
    named = "".join(f"<label><name>{escape(name)}</name></label>" for name in labels)
    return (
        "<?xml version='1.0' encoding='utf-8'?>\n<annotations>\n<version>1.1</version><meta><job>"
        f"<labels>{named}</labels></job></meta>{''.join(images)}</annotations>"
    )


def mask_in_cvat(label: str, mask: np.ndarray) -> str:
    """A mask, (H, W), as CVAT's run lengths of the rows of its box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left, height, width = rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1
    part = mask[top : top + height, left : left + width]
    counts = ", ".join(map(str, count_runs(part.ravel())))
    return (
        f'<mask label="{escape(label)}" rle="{counts}" left="{left}" top="{top}" '
        f'width="{width}" height="{height}" z_order="0"></mask>'
    )


def write_cvat(root: Path) -> None:
    """Write "CVAT for images 1.1" with two subsets of the same scenes."""
    described = []
    for subset in ("Train", "Validation"):
        for scene in draw_scenes():
            name = f"{subset}_{scene.name}.png"
            save_image(scene, root / "images" / subset / name)
            height, width = scene.ids.shape
            masks = [
                mask_in_cvat(LABELS.classes[own], scene.ids == own)
                for own in np.unique(scene.ids)
                if own != VOID
            ]
            described.append(
                f'<image id="0" name="{name}" subset="{subset}" width="{width}" height="{height}">'
                f"{''.join(masks)}</image>"
            )
    (root / "annotations.xml").write_text(describe_in_cvat(described, LABELS.classes))


def write_roboflow(root: Path, split: str) -> None:
    """Write Roboflow's masks of ids with background as 0, and their `_classes.csv`."""
    for scene in draw_scenes():
        save_image(scene, root / split / f"{split}_{scene.name}.png")
        ids = np.where(scene.ids == VOID, 0, scene.ids + 1).astype(np.uint8)
        save_ids(ids, root / split / f"{split}_{scene.name}_mask.png")
    names = ("background", *LABELS.classes)
    lines = ["Pixel Value, Class", *(f"{own}, {name}" for own, name in enumerate(names))]
    (root / split / "_classes.csv").write_text("\n".join(lines))


def encode_picture(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def save_table(
    path: Path,
    columns: dict[str, list[Any]],
    *,
    described: Mapping[str, Any] | None = MappingProxyType({}),
) -> None:
    """Write pictures in groups of two rows, with `datasets`' description, or without for None."""
    import pyarrow as pa
    from pyarrow import parquet

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table(
        {
            name: pa.array(cells, kind if isinstance(cells[0], dict) else None)
            for name, cells in columns.items()
        }
    )
    if described is not None:
        features = described or {
            name: {"_type": "Image"} if isinstance(cells[0], dict) else {"dtype": "string"}
            for name, cells in columns.items()
        }
        about = json.dumps({"info": {"features": dict(features)}})
        table = table.replace_schema_metadata({"huggingface": about})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=2)


def list_cells() -> dict[str, list[Any]]:
    """The scenes as the columns of a table."""
    scenes = draw_scenes()
    return {
        "id": [scene.name for scene in scenes],
        "image": [
            {"bytes": encode_picture(scene.image[:, :, ::-1]), "path": f"{scene.name}.png"}
            for scene in scenes
        ],
        "label": [{"bytes": encode_picture(scene.ids), "path": None} for scene in scenes],
    }


def write_parquet(root: Path, split: str) -> None:
    """Write a split as the Hugging Face Hub has it, with the names of the ids."""
    save_table(root / "data" / f"{split}-00000-of-00001.parquet", list_cells())
    names = dict(enumerate(LABELS.classes))
    (root / "id2label.json").write_text(json.dumps(names))


SHAPE_FORMS = {
    "Parquet": Form("parquet", write_parquet, ("train", "validation")),
    "CVAT": Form("cvat", lambda root, _split: write_cvat(root), ("Train", "Validation")),
    "labelme": Form("labelme", write_labelme),
    "Roboflow's masks": Form("roboflow", write_roboflow, ("train", "valid")),
    "COCO": Form(
        "coco",
        put_coco("annotations/instances_{}.json", "images/{}"),
        ("train2017", "val2017"),
    ),
    "Roboflow's COCO": Form(
        "coco", put_coco("{}/_annotations.coco.json", "{}"), ("train", "valid")
    ),
}
