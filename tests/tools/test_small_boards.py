"""The graph as ncnn and LiteRT take it is whole, and computes what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from seeded import random_image, slim_model

from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.segformer.form import FORMS, read_form
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import onnx

ROOT = Path(__file__).resolve().parents[2]
# An odd grid in three stages: averages and spreading are cut there.
HEIGHT, WIDTH = 96, 136
# The logits' standard deviation is one; these are sums of FP32 in another order.
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=["exact", list(FORMS)[-1]])
def graph(request: pytest.FixtureRequest) -> onnx.ModelProto:
    form = read_form(request.param)
    deployed = rewrite(slim_model(classes=5), mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    return to_onnx(deployed, height=HEIGHT, width=WIDTH, opset=20)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("pieces", [1, 4])
def test_every_value_of_ncnn_is_written_and_then_read_once(
    graph: onnx.ModelProto, pieces: int, tmp_path: Path
) -> None:
    from ncnn_graph import write_ncnn

    write_ncnn(graph, tmp_path / "model", pieces=pieces)
    _, head, *lines = (tmp_path / "model.param").read_text("utf-8").splitlines()
    unread: set[str] = set()
    written = 0
    for line in lines:
        _, _, inputs, outputs, *names = line.split()
        read, made = names[: int(inputs)], names[int(inputs) :][: int(outputs)]
        assert unread.issuperset(read), line
        unread = unread.difference(read).union(made)
        written += len(made)
    assert head == f"{len(lines)} {written}"
    assert unread == {"logits"}


@pytest.mark.parametrize("pieces", [1, 4])
def test_ncnn_computes_the_same(graph: onnx.ModelProto, pieces: int, tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    from ncnn_graph import write_ncnn

    write_ncnn(graph, tmp_path / "model", pieces=pieces)
    assert find_difference(graph, "ncnn", tmp_path / "model") < TOLERANCE


def test_litert_computes_the_same(graph: onnx.ModelProto, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from litert_graph import write_litert

    if any(node.op_type == "Expand" for node in graph.graph.node):
        pytest.skip("LiteRT's file is written for the exact form only")
    (tmp_path / "model.tflite").write_bytes(write_litert(graph)[0])
    assert find_difference(graph, "litert", tmp_path / "model.tflite") < TOLERANCE


def find_difference(graph: onnx.ModelProto, engine: str, path: Path) -> float:
    """The largest difference of the logits from ONNX Runtime's."""
    from small_engines import open_named

    reference = path.with_name("reference.onnx")
    reference.write_bytes(graph.SerializeToString())
    image = random_image(HEIGHT, WIDTH).numpy()[0]
    expected = open_named("onnxruntime", reference, 1)(image)
    assert expected.std() > 0.1
    return float(np.abs(open_named(engine, path, 1)(image) - expected).max())
