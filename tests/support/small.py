"""A small data set and exports of the seeded checkpoint, shared by tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.images import write_mask
from edgeseg.labels import get_known_labels
from edgeseg.runtime.segmenter import Segmenter


def write_street(
    root: Path,
    bundle: Bundle,
    *,
    train: int = 12,
    test: int = 10,
    height: int = 96,
    width: int = 128,
    ignored: float = 0.0,
) -> Path:
    """Scenes whose truth is the model's own mask: FP32 has 100 mIoU, and any change shows.

    `ignored` is the share of the pixels without truth.
    """
    random = np.random.default_rng(0)
    with Segmenter(bundle) as segmenter:
        for split, seeds in (("train", range(train)), ("test", range(100, 100 + test))):
            for part in ("images", "masks"):
                (root / split / part).mkdir(parents=True)
            for seed in seeds:
                frame = draw_scene(seed, 0, height=height, width=width).image
                truth = segmenter.segment(frame).mask.copy()
                truth[random.random(truth.shape) < ignored] = 255
                Image.fromarray(frame[:, :, ::-1].copy()).save(
                    root / split / "images" / f"{seed}.png"
                )
                write_mask(np.asarray(truth), root / split / "masks" / f"{seed}.png")
    names = ", ".join(f'"{name}"' for name in get_known_labels("camvid").classes)
    (root / "dataset.json").write_text(f'{{"classes": [{names}]}}')
    return root
