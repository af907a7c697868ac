"""Finds the columns of images and of masks in a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeseg.data_rules import Rules
from edgeseg.errors import DatasetError

if TYPE_CHECKING:
    from pyarrow import DataType, Schema

__all__ = ["find_columns"]

_IMAGES: Final = ("image", "images", "img", "pixel_values", "rgb", "photo")
_MASKS: Final = (
    *("label", "labels", "mask", "masks", "annotation", "annotations", "segmentation"),
    *("segmentation_mask", "semantic_segmentation", "semantic_mask", "seg", "gt", "ground_truth"),
)


def find_columns(schema: Schema, rules: Rules, *, origin: Path) -> tuple[str, str]:
    """Find the two columns of a schema: as the rules name them, else by their names.

    Of two columns of pictures, one with the name of masks is enough.

    Raises:
        DatasetError: there are none, or several; the message names `origin`.
    """
    pictures = _list_pictures(schema)
    masks = _choose(pictures, rules.masks_dir, _MASKS)
    others = [name for name in pictures if name not in masks]
    images = others
    if len(others) > 1 or rules.images_dir is not None:
        images = _choose(others, rules.images_dir, _IMAGES)
    if len(images) != 1 or len(masks) != 1:
        there = ", ".join(pictures) or f"none (its columns are {', '.join(schema.names)})"
        raise DatasetError(
            f"{origin} has these columns of pictures: {there}; edgeseg takes image and label, or "
            f"those that --images-dir and --masks-dir name"
        )
    return images[0], masks[0]


def _choose(pictures: Sequence[str], wanted: str | None, usual: Sequence[str]) -> list[str]:
    if wanted is not None:
        return [name for name in pictures if name == wanted]
    return [name for name in pictures if name.casefold() in usual]


def _list_pictures(schema: Schema) -> list[str]:
    """List the columns of pictures: as `datasets` describes them, else of bytes."""
    features = _read_features(schema)
    if features:
        return [
            name
            for name in schema.names
            if isinstance(features.get(name), dict) and features[name].get("_type") == "Image"
        ]
    return [field.name for field in schema if _holds_bytes(field.type)]


def _read_features(schema: Schema) -> dict[str, Any]:
    try:
        about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = about["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _holds_bytes(kind: DataType) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))
