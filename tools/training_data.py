"""What `train.py` learns from: images and masks in memory, and the crops of each step."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgeseg.datasets import Dataset, Item, Sample, match_classes, open_dataset
from edgeseg.labels import Labels
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

IGNORE = 255


@dataclass(frozen=True, kw_only=True)
class Data:
    """Everything in memory: what to learn from, and what to be measured on."""

    train: list[Sample]
    test: list[Sample]
    labels: Labels


def load(options: argparse.Namespace) -> Data:
    """Read both splits, a process a core."""
    names = (options.split, options.test_split)
    splits = [open_dataset(options.data, split=name).require_complete() for name in names]
    labels = splits[0].labels
    if labels is None:
        sys.exit(f"train: {options.data} needs a dataset.json with its `classes`")
    splits = [match_classes(split, labels)[0] for split in splits]
    for note in dict.fromkeys(note for split in splits for note in split.notes):
        print(note, flush=True)
    learned, tested = (list(read_all(split)) for split in splits)
    return Data(train=learned, test=tested, labels=labels)


def read_all(dataset: Dataset) -> Iterator[Sample]:
    """Every sample of a data set, in order."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(read, dataset.items, chunksize=8)


def read(item: Item) -> Sample:
    """One sample, in a process of its own."""
    return item.read()


def batch(data: Data, step: int, options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """The crops of one step, drawn from (seed, step), so that a resumed run sees the same."""
    random = np.random.default_rng((options.seed, step))
    chosen = [
        augment(data.train[random.integers(len(data.train))], data.labels, random, options.crop)
        for _ in range(options.batch)
    ]
    images, masks = zip(*chosen, strict=True)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (torch.stack(images) - mean) / std, torch.stack(masks)


def augment(
    sample: Sample, labels: Labels, random: np.random.Generator, crop: int
) -> tuple[Tensor, Tensor]:
    """A window at random scale and stretch, flipped, in other light and color.

    Returns:
        RGB (3, crop, crop) float32 in 0..1, and ids (crop, crop) int64 with `IGNORE`.
    """
    height, width = sample.mask.shape
    taken, stretch = crop / random.uniform(0.75, 1.6), math.exp(random.uniform(-0.2, 0.2))
    rows, columns = min(height, round(taken * stretch)), min(width, round(taken / stretch))
    top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
    window = (slice(top, top + rows), slice(left, left + columns))
    rgb = sample.image[window][:, :, ::-1].astype(np.float32) / 255
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    mask = np.where(sample.mask[window] == labels.ignore_index, IGNORE, sample.mask[window])
    ids = torch.from_numpy(mask.astype(np.float32))[None, None]
    pixels = functional.interpolate(pixels, (crop, crop), mode="bilinear", antialias=True)[0]
    targets = functional.interpolate(ids, (crop, crop), mode="nearest-exact")[0, 0].long()
    if random.random() < 0.5:
        pixels, targets = pixels.flip(2), targets.flip(1)
    tint = random.uniform(0.8, 1.2) * random.uniform(0.93, 1.07, (3, 1, 1))
    center = pixels.mean()
    pixels = (pixels - center) * random.uniform(0.8, 1.2) + center
    return (pixels * torch.from_numpy(tint).float()).clamp(0, 1), targets
