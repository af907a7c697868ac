"""Calibration sets: from a folder, a data set's train split, a video or the demo's scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.calibration.choose import (
    FEW,
    SAME_LEVELS,
    Descriptor,
    choose,
    describe,
    looks_like_noise,
)
from edgeseg.calibration.pictures import DEFAULT_COUNT, Picture, list_pictures
from edgeseg.datasets import NO_RULES, Dataset, Rules
from edgeseg.errors import SourceError
from edgeseg.pixels import Bgr
from edgeseg.progress import SILENT, Progress, track
from edgeseg.spec import RGB
from edgeseg.text import pluralize

__all__ = [
    "CalibrationSet",
    "choose_calibration_set",
    "hash_content",
    "keep_frames",
    "find_shared_images",
]

# A set with at least this share of noisy images gets a warning.
_NOISE_SHARE: Final = 0.1


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
    progress: Progress = SILENT,
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
    for picture in track(progress, "choosing images", pictures):
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


def keep_frames(
    frames: Iterable[Bgr],
    folder: Path,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    progress: Progress = SILENT,
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
    chosen = choose_calibration_set(str(folder), count=count, seed=seed, progress=progress)
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


def find_shared_images(
    chosen: CalibrationSet, dataset: Dataset, *, progress: Progress = SILENT
) -> tuple[str, ...]:
    """Name the images of `dataset` that are also in the calibration set, by their pixels."""
    ours = set(chosen.hashes)
    items = track(progress, "comparing with the calibration images", dataset.items)
    return tuple(item.name for item in items if hash_content(item.image()) in ours)


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
