"""Fixtures of these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from seeded import model_spec, seeded_model
from typed_graphs import HEIGHT, INT8, WIDTH, frame

from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.targets.tensorrt.graph import to_typed
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from onnx import ModelProto


@pytest.fixture(scope="module")
def model() -> ModelProto:
    network = seeded_model(model_spec("b0", classes=11))
    return to_onnx(
        rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD), height=HEIGHT, width=WIDTH
    )


@pytest.fixture(scope="module")
def largest(model: ModelProto) -> dict[str, float]:
    frames = [lambda seed=seed: frame(seed) for seed in range(4)]
    return peaks(model, frames)


@pytest.fixture(scope="module")
def typed(model: ModelProto, largest: dict[str, float]) -> ModelProto:
    return to_typed(model, INT8, largest=largest)
