from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from seeded import model_spec, seeded_model

from edgeseg.errors import ExportError
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.export.storage import halve_weights
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    deployed = rewrite(
        seeded_model(model_spec("b0", classes=5)), mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    return to_onnx(deployed, height=64, width=96)


def run(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    return session.run(None, {"image": image})[0]


def test_half_the_bytes_and_nearly_the_same_logits(model: onnx.ModelProto) -> None:
    stored = halve_weights(model)
    onnx.checker.check_model(stored, full_check=True)
    assert len(stored.SerializeToString()) < 0.55 * len(model.SerializeToString())
    expected = run(model)
    assert 0 < np.abs(run(stored) - expected).max() < 5e-3 * expected.std()
    # What is computed with is FP32: only weights are FP16, each behind a Cast.
    halves = {w.name for w in stored.graph.initializer if w.data_type == onnx.TensorProto.FLOAT16}
    users = {node.op_type for node in stored.graph.node if halves & set(node.input)}
    assert users == {"Cast"}


def test_it_is_a_copy(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    halve_weights(model)
    assert model.SerializeToString() == before


def test_a_weight_beyond_fp16_is_refused(model: onnx.ModelProto) -> None:
    large = onnx.ModelProto()
    large.CopyFrom(model)
    weight = next(w for w in large.graph.initializer if w.name == "stage1.block0.ffn_in.weight")
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[0] = 1e5
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(ExportError, match=r"stage1\.block0\.ffn_in\.weight is beyond FP16"):
        halve_weights(large)
