"""Finds the columns of images and of masks in a Parquet file, and the names of the ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgeseg.data_rules import Rules
from edgeseg.errors import DatasetError

if TYPE_CHECKING:
    from pyarrow import DataType, Schema

__all__ = ["Columns", "find_columns"]

_IMAGES: Final = ("image", "images", "img", "pixel_values", "rgb", "photo")
_MASKS: Final = (
    *("label", "labels", "mask", "masks", "annotation", "annotations", "segmentation"),
    *("segmentation_mask", "semantic_segmentation", "semantic_mask", "seg", "gt", "ground_truth"),
)


class Columns(NamedTuple):
    """The columns of images and of masks, and what is known of the masks.

    `is_array` says that a mask is a list of rows of ids, and no picture. `names` are those of the
    ids, where the file has them (`ClassLabel`).
    """

    image: str
    mask: str
    is_array: bool
    names: tuple[str, ...]


def find_columns(schema: Schema, rules: Rules, *, origin: Path) -> Columns:
    """Find the two columns of a schema: as the rules name them, else by their names.

    Of two columns of pictures, one with the name of masks is enough.

    Raises:
        DatasetError: there are none, or several; the message names `origin`.
    """
    features = _read_features(schema)
    pictures = _list_pictures(schema, features)
    arrays = [field.name for field in schema if _holds_rows(field.type)]
    masks = _choose([*pictures, *arrays], rules.masks_dir, _MASKS)
    others = [name for name in pictures if name not in masks]
    images = others
    if len(others) > 1 or rules.images_dir is not None:
        images = _choose(others, rules.images_dir, _IMAGES)
    if len(images) != 1 or len(masks) != 1:
        there = ", ".join((*pictures, *arrays)) or f"none (it has {', '.join(schema.names)})"
        raise DatasetError(
            f"{origin} has these columns of pictures: {there}; edgeseg takes image and label, or "
            f"those that --images-dir and --masks-dir name"
        )
    mask = masks[0]
    return Columns(images[0], mask, mask in arrays, _find_names(features.get(mask)))


def _choose(pictures: Sequence[str], wanted: str | None, usual: Sequence[str]) -> list[str]:
    if wanted is not None:
        return [name for name in pictures if name == wanted]
    return [name for name in pictures if name.casefold() in usual]


def _list_pictures(schema: Schema, features: Mapping[str, Any]) -> list[str]:
    """List the columns of pictures: as `datasets` describes them, else of bytes."""
    if features:
        return [
            name
            for name in schema.names
            if isinstance(features.get(name), dict) and features[name].get("_type") == "Image"
        ]
    return [field.name for field in schema if _holds_bytes(field.type)]


def _find_names(feature: object) -> tuple[str, ...]:
    """Find the names of a `ClassLabel` in a feature, which may lie in lists of it."""
    if isinstance(feature, list):
        return next(filter(None, map(_find_names, feature)), ())
    if not isinstance(feature, dict):
        return ()
    names = feature.get("names")
    if feature.get("_type") == "ClassLabel" and isinstance(names, list):
        return tuple(map(str, names))
    return _find_names(feature.get("feature"))


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


def _holds_rows(kind: DataType) -> bool:
    """Whether a value is a list of lists of whole numbers."""
    from pyarrow import types

    for _ in range(2):
        if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
            return False
        kind = kind.value_type
    return bool(types.is_integer(kind))
