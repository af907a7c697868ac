"""A small data set and exports of the seeded checkpoint, and what was done to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image

from edgeseg.bundle import Bundle, new_bundle, open_bundle, seal_bundle
from edgeseg.demo import scene
from edgeseg.images import write_mask
from edgeseg.labels import known_labels
from edgeseg.runtime.segmenter import Segmenter


def write_street(
    root: Path,
    bundle: Bundle,
    *,
    train: int = 12,
    test: int = 8,
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
                frame = scene(seed, 0, height=height, width=width).image
                truth = segmenter.segment(frame).mask.copy()
                truth[random.random(truth.shape) < ignored] = 255
                Image.fromarray(frame[:, :, ::-1].copy()).save(
                    root / split / "images" / f"{seed}.png"
                )
                write_mask(np.asarray(truth), root / split / "masks" / f"{seed}.png")
    names = ", ".join(f'"{name}"' for name in known_labels("camvid").classes)
    (root / "dataset.json").write_text(f'{{"classes": [{names}]}}')
    return root


def damage(bundle: Bundle, folder: Path, *, layer: str, factor: float = -1.0) -> Bundle:
    """The bundle with one layer's weights multiplied, sealed again so that its hashes are right."""
    with new_bundle(folder) as staging:
        shutil.copytree(bundle.folder, staging, dirs_exist_ok=True)
        for name in ("manifest.json", "manifest.sha256"):
            (staging / name).unlink()
        graph = onnx.load(staging / bundle.chosen.file)
        changed = 0
        for weight in graph.graph.initializer:
            if weight.name == f"{layer}.weight":
                values = numpy_helper.to_array(weight) * np.float32(factor)
                weight.CopyFrom(numpy_helper.from_array(values, weight.name))
                changed += 1
        assert changed == 1, layer
        onnx.save(graph, staging / bundle.chosen.file)
        seal_bundle(staging, bundle.manifest)
    return open_bundle(folder)
