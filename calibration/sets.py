"""Calibration sets: from a folder, a data set's train split, a video or the demo's scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from edgeseg.calibration.choose import (
    FEW,
    SAME_LEVELS,
    Descriptor,
    choose,
    describe,
    looks_like_noise,
)
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
from edgeseg.errors import CalibrationError, DatasetError, SourceError
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.images.bands import BANDS_SUFFIX, list_frames, read_frame
from edgeseg.pixels import Bgr
from edgeseg.spec import RGB
from edgeseg.text import pluralize

__all__ = [
    "DEFAULT_COUNT",
    "CalibrationSet",
    "ImageFile",
    "Picture",
    "choose_calibration_set",
    "find_calibration_rules",
    "hash_content",
    "keep_frames",
    "list_pictures",
    "find_shared_images",
]

DEFAULT_COUNT: Final = 300

# A larger source is cut to a seeded draw of this many images: ten times the usual choice.
MAX_CANDIDATES: Final = 3000

# A set with at least this share of noisy images gets a warning.
_NOISE_SHARE: Final = 0.1
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSet:
    """The chosen images.

    `hashes` are of the pixels, one for each picture. `noisy` tells which pictures look like noise.
    `duplicates` counts the images left out because a chosen one is much like them.
    """

    source: str
    pictures: tuple[Picture, ...]
    hashes: tuple[str, ...]
    noisy: tuple[bool, ...]
    duplicates: int

    @property
    def sha256(self) -> str:
        """One hash for the whole set, which depends on the order of its pictures."""
        return hashlib.sha256("".join(self.hashes).encode()).hexdigest()

    def part(self, places: Sequence[int]) -> CalibrationSet:
        """Make a set of the pictures at the given places."""
        return replace(
            self,
            pictures=tuple(self.pictures[i] for i in places),
            hashes=tuple(self.hashes[i] for i in places),
            noisy=tuple(self.noisy[i] for i in places),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons not to calibrate on this set, and what each costs."""
        return tuple(_list_warnings(len(self.pictures), self.duplicates, sum(self.noisy)))


def choose_calibration_set(
    source: str,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    channels: int = RGB,
    rules: Rules = NO_RULES,
) -> CalibrationSet:
    """Choose `count` images from a source: a folder of images, a data set, or `demo`.

    The images are read as those of so many `channels`, and a data set by its `rules`.

    Only the train split is used where a data set has splits. For a video or a camera see
    `keep_frames`.

    Raises:
        CalibrationError: the source has no images, or the data set has no train split.
        SourceError: an image cannot be read.
    """
    pictures = list_pictures(source, count=count, seed=seed, channels=channels, rules=rules)
    descriptors: list[Descriptor] = []
    noisy: list[bool] = []
    hashes: list[str] = []
    unreadable: list[str] = []
    for picture in pictures:
        try:
            frame = picture.image()
        except SourceError as error:
            unreadable.append(str(error))
            continue
        descriptors.append(describe(frame))
        noisy.append(looks_like_noise(frame))
        hashes.append(hash_content(frame))
    if unreadable:
        raise SourceError(
            f"{len(unreadable)} of {len(pictures)} calibration images cannot be read: "
            f"{'; '.join(unreadable[:3])}; mend or remove them"
        )
    choice = choose(descriptors, count=count, seed=seed)
    return CalibrationSet(
        source=source,
        pictures=pictures,
        hashes=tuple(hashes),
        noisy=tuple(noisy),
        duplicates=choice.duplicates,
    ).part(choice.indices)


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
    if source == DEMO:
        return open_dataset(DEMO, split="calibration").read_as(channels).items
    if _is_data_set(source, rules):
        return _open_train_split(source, rules).read_as(channels).items
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


def _open_train_split(source: str, rules: Rules) -> Dataset:
    """Open the train split of a data set, or all of one that has no splits.

    Raises:
        CalibrationError: the data set has other splits only.
    """
    try:
        return open_dataset(source, split="train", rules=rules)
    except DatasetError as error:
        try:
            whole = open_dataset(source, rules=rules)
        except DatasetError:
            whole = None
        if whole is None or whole.split in _MEASURED:
            raise CalibrationError(
                f"{error}; calibrating on what accuracy is measured on would hide the loss: give "
                f"another source"
            ) from None
        return whole


def _list_files(folder: Path, channels: int, value_range: ValueRange | None) -> tuple[Picture, ...]:
    return tuple(ImageFile(path, channels, value_range) for path in list_frames(folder))


def keep_frames(
    frames: Iterable[Bgr], folder: Path, *, count: int = DEFAULT_COUNT, seed: int = 0
) -> CalibrationSet:
    """Write varied frames of a video or camera as PNG into `folder`, then choose `count` of them.

    A frame is kept when it differs from the last one kept. When ten times `count` frames are
    kept, every second one is removed. So memory holds one frame, and the disk at most ten times
    `count`.

    Raises:
        CalibrationError: `frames` is empty.
        SourceError: the folder cannot be written.
    """
    from PIL import Image

    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept: list[Path] = []
        for index, frame in _drop_repeats(frames):
            path = folder / f"frame_{index:06d}.png"
            # Fast compression: these files live as long as the export.
            Image.fromarray(frame[:, :, ::-1].copy()).save(path, compress_level=1)
            kept.append(path)
            if len(kept) > 10 * count:
                for path in kept[1::2]:
                    path.unlink()
                kept = kept[::2]
    except OSError as error:
        raise SourceError(f"{folder} cannot be written: {error.strerror}") from None
    chosen = choose_calibration_set(str(folder), count=count, seed=seed)
    names = {picture.name for picture in chosen.pictures}
    for path in kept:
        if path.stem not in names:
            path.unlink()
    return chosen


def _drop_repeats(frames: Iterable[Bgr]) -> Iterator[tuple[int, Bgr]]:
    last: Descriptor | None = None
    for index, frame in enumerate(frames):
        current = describe(frame)
        if last is None or np.sqrt(((current - last) ** 2).mean()) >= SAME_LEVELS:
            last = current
            yield index, frame


def hash_content(image: Bgr) -> str:
    """Hash the pixels and their shape by SHA-256; the same picture in two files hashes alike."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def find_shared_images(chosen: CalibrationSet, dataset: Dataset) -> tuple[str, ...]:
    """Name the images of `dataset` that are also in the calibration set, by their pixels."""
    ours = set(chosen.hashes)
    return tuple(item.name for item in dataset.items if hash_content(item.image()) in ours)


def _list_warnings(images: int, duplicates: int, noise: int) -> Iterator[str]:
    if images < FEW:
        # The thumbnails of noise are all alike, so they do not show duplicates.
        told = duplicates and not noise
        alike = f" ({duplicates} more were near-duplicates of these)" if told else ""
        yield (
            f"only {pluralize(images, 'calibration image')}{alike}: what they do not show may be "
            f"clipped in INT8; give {FEW} or more, of all that the camera will see"
        )
    if noise >= max(1, _NOISE_SHARE * images):
        yield (
            f"{noise} of {pluralize(images, 'calibration image')} look like noise: ranges from "
            f"noise fit no camera, and the accuracy gate may fail; give real images"
        )
