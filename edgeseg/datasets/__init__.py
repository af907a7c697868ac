"""Images with ground truth: drawn scenes, a folder, or an unpacked published data set."""

from __future__ import annotations

from pathlib import Path

from edgeseg.datasets.folder import SPLITS, open_folder
from edgeseg.datasets.items import Dataset, DrawnScene, FilePair, IdMap, Item, Sample, Unpaired
from edgeseg.datasets.location import open_location
from edgeseg.datasets.matching import Differences, match_classes
from edgeseg.datasets.published import PUBLISHED, open_published
from edgeseg.datasets.reading import Matched
from edgeseg.datasets.survey import Survey
from edgeseg.datasets.uncounted import Tally, explain_uncounted
from edgeseg.demo import DEMO
from edgeseg.demo.splits import DEMO_SPLITS
from edgeseg.errors import DatasetError
from edgeseg.labels import get_known_labels
from edgeseg.redact import hide_secrets

__all__ = [
    "PUBLISHED",
    "SPLITS",
    "Dataset",
    "Differences",
    "DrawnScene",
    "FilePair",
    "IdMap",
    "Item",
    "Matched",
    "Sample",
    "Survey",
    "Tally",
    "Unpaired",
    "explain_uncounted",
    "match_classes",
    "open_dataset",
]


def open_dataset(source: str | Path, *, split: str | None = None) -> Dataset:
    """Open a data set: list its images and masks, and read its class names. No image is read.

    `source` is `demo`, a folder with `images` and `masks`, or `NAME:PATH` with NAME one of
    `PUBLISHED`. A folder may be a URL that fsspec knows, such as `s3://bucket/street`. Without
    `split`, `demo` opens its split `test`, a published data set its split `val`, and a folder must
    hold `images` and `masks` itself. Images without a mask are listed in the result's `unpaired`;
    `require_complete()` refuses them.

    Raises:
        DatasetError: there is no such folder or split, there are no images, or none has a mask.
        SourceError: the folder's dataset.json cannot be read.
        MissingPackageError: a URL needs a package that is not installed.
    """
    if str(source) == DEMO:
        return _open_demo(split or "test")
    name, colon, path = str(source).partition(":")
    with hide_secrets(str(source)):
        if colon and name in PUBLISHED:
            return open_published(name, open_location(path), split)
        return open_folder(open_location(str(source)), split)


def _open_demo(split: str) -> Dataset:
    if split not in DEMO_SPLITS:
        raise DatasetError(
            f"data set demo has no split {split!r}; take one of {', '.join(DEMO_SPLITS)}"
        )
    items = tuple(DrawnScene(seed, frame) for seed, frame in DEMO_SPLITS[split].frames())
    return Dataset(origin=DEMO, split=split, items=items, labels=get_known_labels("camvid"))
