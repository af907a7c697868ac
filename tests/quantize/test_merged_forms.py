"""INT8 in a merged form: recipes reach the same groups, and the share is that of its costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from seeded import slim_model

from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.calibration.ranges import ESTIMATORS
from edgeseg.demo.scenes import draw_scene
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.share import compute_onnx_share, int8_share
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.quantize.targets.openvino import quantize_openvino
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.segformer.form import FORMS, Form, HeadForm
from edgeseg.segformer.macs import count_costs
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import numpy as np

    from edgeseg.export.segformer.network import SegFormer

HEIGHT, WIDTH = 90, 120  # maps of 23x30, 12x15, 6x8 and 3x4
BOLDEST = FORMS["merge-queries-keys12"]
COARSE = replace(BOLDEST, name="coarse", head=HeadForm.STRIDE_8)


@pytest.fixture(scope="module")
def network() -> SegFormer:
    return slim_model(classes=11)


@pytest.fixture(scope="module", params=[BOLDEST, COARSE], ids=["cascade", "stride-8"])
def form(request: pytest.FixtureRequest) -> Form:
    found: Form = request.param
    return found


@pytest.fixture(scope="module")
def model(network: SegFormer, form: Form) -> onnx.ModelProto:
    deployed = rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    return to_onnx(deployed, height=HEIGHT, width=WIDTH, opset=20)


@pytest.fixture(scope="module")
def linear_share(network: SegFormer, form: Form) -> float:
    """What is not of the two attention products; their sizes are those of the merged maps."""
    products = 0
    queries, keys = (12 * 15, 6 * 8, 3 * 4, 2 * 2), (1 * 2, 2 * 2, 3 * 4, 3 * 4)
    for count, seen, width in zip(queries, keys, (16, 32, 80, 128), strict=True):
        products += 2 * count * seen * width
    return 1 - products / count_costs(network.spec, height=HEIGHT, width=WIDTH, form=form).macs


def frames() -> list:
    return [
        lambda seed=seed: draw_scene(seed, 0, height=HEIGHT, width=WIDTH).image[None]
        for seed in range(4)
    ]


def test_onnxruntime_quantizes_every_group(
    model: onnx.ModelProto, linear_share: float, tmp_path: Path
) -> None:
    graph, taps = tap_graph(model, find_taps(model)), find_taps(model)
    found = observe(graph, frames(), resume_observation(graph, taps, tmp_path / "ranges.npz"))
    ranges = {name: ESTIMATORS["percentile"](one) for name, one in found.items()}
    exact = OrtBackend(model.SerializeToString()).infer(frames()[0]())
    for name, share in (("int8-full", 1), ("int8-linear", linear_share)):
        made = to_qdq(model, RECIPES[name], ranges)
        onnx.checker.check_model(made, full_check=True)
        assert compute_onnx_share(made) == pytest.approx(share, abs=1e-6)
        assert 1e-4 < far(OrtBackend(made.SerializeToString()).infer(frames()[0]()), exact) < 0.2


def test_nncf_quantizes_every_group(
    model: onnx.ModelProto, linear_share: float, tmp_path: Path
) -> None:
    pytest.importorskip("nncf")
    exact = OrtBackend(model.SerializeToString()).infer(frames()[0]())
    shape = (1, 11, 23, 30)
    for name, share in (("int8-full", 1), ("int8-linear", linear_share)):
        made = tmp_path / f"{name}.xml"
        quantize_openvino(model, made, RECIPES[name], frames())
        assert int8_share(made) == pytest.approx(share, abs=1e-6)
        engine = open_artifact("openvino", made, logits_shape=shape, compute="f32")
        assert 1e-4 < far(engine.infer(frames()[0]()), exact) < 0.2


def far(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float((ours - theirs).std() / theirs.std())
