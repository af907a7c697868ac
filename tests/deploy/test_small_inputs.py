"""Inputs down to 32x32, where the last stage has a single position: export, run and verify."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import FEW, change, deployed_mask, differing, transformers_mask
from PIL import Image
from search_limits import LENIENT

import edgeseg as package
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.images import read_mask
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.targets import jetson
from edgeseg.quantize.targets.tensorrt.rules import find_violations

SIZES = [(32, 32), (33, 47)]
SHORT = (((32, 32), "onnxruntime"), ((33, 47), "jetson"))
FRAME = (60, 80)


def _make_demo(folder: Path, size: tuple[int, int]) -> Path:
    shutil.copytree(find_demo_checkpoint(), folder)
    change(folder / "preprocessor_config.json", size={"height": size[0], "width": size[1]})
    return folder


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("frame", [(32, 32), (120, 160), (31, 90)], ids=str)
def test_the_mask_is_that_of_transformers(
    size: tuple[int, int], frame: tuple[int, int], tmp_path: Path
) -> None:
    folder = _make_demo(tmp_path / "demo", size)
    image = draw_scene(11, 0, height=frame[0], width=frame[1]).image
    assert differing(deployed_mask(folder, image), transformers_mask(folder, image)) < FEW


@pytest.mark.parametrize(
    ("size", "target"),
    [
        pytest.param(size, target, marks=() if (size, target) in SHORT else (pytest.mark.long,))
        for size in SIZES
        for target in ("onnxruntime", "openvino", "jetson")
    ],
    ids=str,
)
def test_every_target_takes_it(
    size: tuple[int, int], target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truth is transformers' own mask: float has it, and INT8 is another one, but not by chance."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = _make_demo(tmp_path / "demo", size)
    data = _write_truth(tmp_path / "data", folder)
    recipes = jetson.RECIPES if target == "jetson" else RECIPES
    request = ExportRequest(
        weights=str(folder),
        target=target,
        folder=tmp_path / "bundle",
        dataset=open_dataset(data, split="test"),
        calibration=str(data),
        precision="int8",
        recipes=(recipes["int8-linear"],),
        limits=replace(LENIENT, max_drop=100),
    )
    bundle = export_bundle(request).bundle
    assert (bundle.manifest.input.height, bundle.manifest.input.width) == size
    for variant in bundle.manifest.variants:
        least = {"int8": 60, "fp32": 99.9}.get(variant.precision, 90)  # 90: of a coarse class map
        assert variant.gate is None or variant.gate.pixel_agreement > least
        if target == "jetson":
            assert find_violations(onnx.load(bundle.path(variant.file))) == {}
    if target == "jetson":
        return
    limits = package.Limits(max_drop=100, max_class_drop=100)
    report = package.verify(bundle.folder, data=data, split="test", limits=limits)
    assert report.passed
    images = data / "test" / "images"
    package.run(bundle.folder, source=images, masks=tmp_path / "masks", say=lambda _: None)
    truths = [read_mask(path) for path in sorted((data / "test" / "masks").iterdir())]
    found = [read_mask(path) for path in sorted((tmp_path / "masks").glob("*.png"))]
    assert len(found) == len(truths)
    agreements = [(one == other).mean() for one, other in zip(found, truths, strict=True)]
    assert np.mean(agreements) > 0.6


def _write_truth(root: Path, folder: Path) -> Path:
    for split, seeds in (("train", range(100, 108)), ("test", range(6))):
        for part in ("images", "masks"):
            (root / split / part).mkdir(parents=True)
        for seed in seeds:
            image = draw_scene(seed, 0, height=FRAME[0], width=FRAME[1]).image
            Image.fromarray(image[:, :, ::-1].copy()).save(root / split / "images" / f"{seed}.png")
            mask = transformers_mask(folder, image)
            Image.fromarray(mask).save(root / split / "masks" / f"{seed}.png")
    names = json.loads((folder / "config.json").read_text())["id2label"]
    (root / "dataset.json").write_text(json.dumps({"classes": list(names.values())}))
    return root
