"""Lists the images of a calibration source, and how its data set has them read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from edgeseg.data_rules import ValueRange
from edgeseg.datasets import (
    LAYOUT_NAMES,
    NO_RULES,
    SPLIT_NAMES,
    SPLITS,
    Dataset,
    Rules,
    open_dataset,
    recognize,
)
from edgeseg.datasets.class_files import find_classes
from edgeseg.demo import DEMO
from edgeseg.errors import CalibrationError, DatasetError
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.images.bands import BANDS_SUFFIX, list_frames, read_frame
from edgeseg.pixels import Bgr
from edgeseg.spec import RGB

__all__ = [
    "DEFAULT_COUNT",
    "ImageFile",
    "Picture",
    "find_calibration_rules",
    "list_pictures",
    "open_train_split",
]

DEFAULT_COUNT: Final = 300

# A larger source is cut to a seeded draw of this many images: ten times the usual choice.
MAX_CANDIDATES: Final = 3000

_MEASURED: Final = (*SPLIT_NAMES["val"], *SPLIT_NAMES["test"])  # splits for accuracy


class Picture(Protocol):
    """An image that can be read, again and again."""

    @property
    def name(self) -> str:
        """The image's name."""

    def image(self) -> Bgr:
        """Read the image: uint8 BGR (H, W, 3), or (H, W, C) of other channels."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image without ground truth, which is read as one of so many `channels`.

    `value_range` says which values of a deep image become 0 and 255.
    """

    path: Path
    channels: int = RGB
    value_range: ValueRange | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def image(self) -> Bgr:
        """Read the file."""
        return read_frame(self.path, self.channels, self.value_range)


def list_pictures(
    source: str,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    channels: int = RGB,
    rules: Rules = NO_RULES,
) -> tuple[Picture, ...]:
    """List the images of a source; a seeded draw where there are more than 3000.

    Raises:
        CalibrationError: the source has no images, or the data set has no train split.
    """
    try:
        pictures = _list_all_pictures(source, channels, rules)
    except OSError as error:  # a name that is too long, or a folder that is closed
        raise CalibrationError(
            f"calibration source {source} cannot be read: {error.strerror}"
        ) from None
    if not pictures:
        raise CalibrationError(
            f"calibration source {source} holds no images "
            f"({', '.join((*IMAGE_SUFFIXES, BANDS_SUFFIX))}); give a folder of images, a data set "
            f"with a train split, a video, or `demo`"
        )
    most = max(MAX_CANDIDATES, count)
    if len(pictures) <= most:
        return pictures
    drawn = np.sort(np.random.default_rng(seed).permutation(len(pictures))[:most])
    return tuple(pictures[index] for index in drawn)


def find_calibration_rules(source: str, dataset: Dataset | None, given: Rules = NO_RULES) -> Rules:
    """Find how a source's images lie and are read: as those of the data set, if it is the source.

    Any other source has its own folders. Its range of values is the one that is `given`, or that of
    its own dataset.json, or the data set's.
    """
    if dataset is not None and dataset.origin == source:
        return dataset.rules
    measured = NO_RULES if dataset is None else dataset.rules
    ranges = (rules.range for rules in (given, _read_own_rules(source), measured))
    return Rules(range=next(filter(None, ranges), None))


def _read_own_rules(source: str) -> Rules:
    try:
        return find_classes(Path(source)).rules
    except OSError:  # a name that is too long, or a folder that is closed: told when it is listed
        return NO_RULES


def _list_all_pictures(source: str, channels: int, rules: Rules) -> tuple[Picture, ...]:
    root, read = Path(source), partial(_list_files, channels=channels, value_range=rules.range)
    if source == DEMO or _is_data_set(source, rules):
        return open_train_split(source, rules).read_as(channels).items
    if (root / "train" / "images").is_dir():
        return read(root / "train" / "images")
    other = [split for split in ("val", "test") if (root / split / "images").is_dir()]
    if other:
        raise CalibrationError(
            f"data set {source} has no train split, only {', '.join(other)}; calibrating on what "
            f"accuracy is measured on would hide the loss. Give another source"
        )
    if (root / "images").is_dir():
        return read(root / "images")
    if root.is_dir():
        return read(root)
    raise CalibrationError(
        f"no calibration source at {source}; give a folder of images, a data set with a train "
        f"split, a video, or `demo`"
    )


def _is_data_set(source: str, rules: Rules) -> bool:
    """Tell whether a source has the form of a data set, with masks that are of no use here."""
    name, colon, _ = source.partition(":")
    if colon and name in LAYOUT_NAMES:
        return True
    root = Path(source)
    layout = recognize(root, rules) if root.is_dir() else None
    if layout is None or layout.name != "folder" or rules.given - {"range"}:
        return layout is not None
    # Of a folder in the usual form, the images without masks are of use, too.
    return not any((root / split / "images").is_dir() for split in SPLITS) and not (
        (root / "images").is_dir() and list_frames(root / "images")
    )


def open_train_split(source: str, rules: Rules) -> Dataset:
    """Open the train split of a data set, or all of one that has no splits.

    Raises:
        CalibrationError: it is no data set, or has other splits only.
    """
    if source == DEMO:
        return open_dataset(DEMO, split="calibration")
    try:
        return open_dataset(source, split="train", rules=rules)
    except DatasetError as error:
        try:
            whole = open_dataset(source, rules=rules)
        except DatasetError as unread:
            raise CalibrationError(f"{unread}") from None
        if whole.split in _MEASURED:
            raise CalibrationError(
                f"{error}; calibrating on what accuracy is measured on would hide the loss: give "
                f"another source"
            ) from None
        return whole


def _list_files(folder: Path, channels: int, value_range: ValueRange | None) -> tuple[Picture, ...]:
    return tuple(ImageFile(path, channels, value_range) for path in list_frames(folder))
