"""The demo checkpoint and bundle that come with edgeseg."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import Dataset, open_dataset
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_bundle, find_demo_checkpoint
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.reference import normalize
from edgeseg.pixels import to_input
from edgeseg.runtime.golden import judge_golden
from edgeseg.verification.findings import make_accuracy_fields
from edgeseg.verification.measuring import Pair, measure_share
from edgeseg.verification.subjects import BundleModel


def measured(model: BundleModel, dataset: Dataset) -> dict[str, Any]:
    """What a report would say of the model alone."""
    pair = Pair(candidate=model, reference=None, protocol="ss")
    return make_accuracy_fields(measure_share(pair, dataset.items, strict=True).counts)


def size_mb(folder) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def test_the_checkpoint_is_small_ours_and_says_how_it_was_made() -> None:
    weights = find_demo_checkpoint() / "model.safetensors"
    assert weights.stat().st_size < 8e6
    card = (find_demo_checkpoint() / "README.md").read_text("utf-8")
    assert "license: apache-2.0" in card
    assert "python tools/train.py --data demo" in card
    assert re.search(r"Test mIoU (\d+\.\d+) on 100 images, input 512x512, seed \d+", card)
    checkpoint = read_checkpoint("demo")
    assert checkpoint.license == "apache-2.0"
    assert (checkpoint.source, checkpoint.spec.name) == ("demo", "b0")


def test_transformers_gives_our_logits() -> None:
    from transformers import SegformerForSemanticSegmentation

    oracle = SegformerForSemanticSegmentation.from_pretrained(
        find_demo_checkpoint(), dtype=torch.float32
    ).eval()
    checkpoint = read_checkpoint("demo")
    frame = to_input(draw_scene(7, 0, height=480, width=640).image, checkpoint.input)
    pixels = normalize(frame, checkpoint.input)
    with torch.no_grad():
        expected = oracle(pixel_values=pixels).logits
        found = checkpoint.model(pixels)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_the_bundle_knows_the_streets() -> None:
    bundle = open_bundle(find_demo_bundle())
    assert bundle.manifest.checkpoint.license == "apache-2.0"
    assert bundle.manifest.labels.classes == read_checkpoint("demo").labels.classes
    model = BundleModel(bundle)
    assert judge_golden(model.bundle, model.variant, model.segment).passed
    assert measured(model, open_dataset("demo").take_evenly(20))["miou"] > 80


@pytest.mark.long
def test_the_model_reaches_its_figures_on_all_test_scenes() -> None:
    bundle = open_bundle(find_demo_bundle())
    fp32 = next(v for v in bundle.manifest.variants if v.name == "fp32")
    found = measured(BundleModel(bundle, variant=fp32), open_dataset("demo"))
    assert found["images"] == 100
    assert found["miou"] >= 85
    assert min(result.iou for result in found["classes"] if result.iou is not None) >= 60
    card = (find_demo_checkpoint() / "README.md").read_text("utf-8")
    told = re.search(r"Test mIoU (\d+\.\d+)", card)
    assert told is not None
    assert np.isclose(float(told[1]), found["miou"], atol=0.1)
