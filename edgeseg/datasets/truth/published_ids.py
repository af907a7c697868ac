"""The ids under which published data sets store their classes: one table, to read and to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from edgeseg.datasets.truth.id_map import IdMap

__all__ = ["PUBLISHED_IDS"]

_NONE: Final = 255
# Cityscapes' id for each of its 19 training classes, in their order (cityscapesScripts, labels.py).
_CITYSCAPES_IDS: Final = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
# Ids that COCO reserved and COCO-Stuff never used (nightrome/cocostuff, labels.md, less one).
_COCO_GAPS: Final = frozenset({11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90})


def _number_ids(ids: Iterable[int]) -> dict[int, int]:
    return {own: train for train, own in enumerate(ids)}


def _choose_cityscapes_ids() -> Mapping[int, int]:
    return {**dict.fromkeys((*range(34), _NONE), _NONE), **_number_ids(_CITYSCAPES_IDS)}


PUBLISHED_IDS: Final[Mapping[str, IdMap]] = MappingProxyType(
    {
        "ade20k": IdMap("ADE20K", {0: _NONE, **_number_ids(range(1, 151))}),
        "cityscapes": IdMap("Cityscapes", _choose_cityscapes_ids()),
        "cocostuff": IdMap(
            "COCO-Stuff",
            {_NONE: _NONE, **_number_ids(i for i in range(182) if i not in _COCO_GAPS)},
        ),
        "camvid": IdMap("CamVid", _number_ids(range(12))),
    }
)
