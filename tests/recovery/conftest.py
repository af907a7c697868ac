"""INT8 artifacts of the demo's network at a small size, one for each target, and their teachers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from artifacts import Artifact
from made_once import made_once
from typed_graphs import HEIGHT, INT8, WIDTH, frame

from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.calibration.ranges import ESTIMATORS
from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.attention import fuse_attention
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.quantize.targets import openvino
from edgeseg.quantize.targets.tensorrt.emulation import open_emulation
from edgeseg.quantize.targets.tensorrt.graph import to_typed
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.targets import find_target

CALIBRATED = 8
TARGETS = ("onnxruntime", "openvino", "jetson")


@pytest.fixture(scope="session")
def artifacts(common: Path) -> dict[str, Artifact]:
    folder = made_once(common / "artifacts", make_artifacts)
    on_onnx = partial(open_artifact, "onnxruntime")
    on_openvino = partial(open_artifact, "openvino")
    return {
        "onnxruntime": Artifact(
            path=folder / "int8.onnx", teacher=folder / "teacher.onnx", open=on_onnx
        ),
        "openvino": Artifact(
            path=folder / "int8.xml", teacher=folder / "graph.xml", open=on_openvino
        ),
        "jetson": Artifact(
            path=folder / "typed.onnx", teacher=folder / "teacher.onnx", open=open_emulation
        ),
    }


def make_artifacts(folder: Path) -> None:
    checkpoint = read_checkpoint(str(find_demo_checkpoint()))
    spec = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    graph = to_onnx(deployed, height=HEIGHT, width=WIDTH, opset=find_target("openvino").opset)
    frames = [partial(frame, seed) for seed in range(CALIBRATED)]
    taps = find_taps(graph)
    tapped = tap_graph(graph, taps)
    found = observe(tapped, frames, resume_observation(tapped, taps, folder / "ranges.npz"))
    ranges = {name: ESTIMATORS["percentile"](s) for name, s in found.items()}
    (folder / "teacher.onnx").write_bytes(graph.SerializeToString())
    int8 = to_qdq(graph, RECIPES["int8-full"], ranges)
    (folder / "int8.onnx").write_bytes(fuse_attention(int8).SerializeToString())
    for_jetson = to_onnx(deployed, height=HEIGHT, width=WIDTH, opset=find_target("jetson").opset)
    typed = to_typed(for_jetson, INT8, largest=peaks(graph, frames))
    (folder / "typed.onnx").write_bytes(typed.SerializeToString())
    (folder / "graph.onnx").write_bytes(graph.SerializeToString())
    openvino.convert(folder / "graph.onnx")
    openvino.quantize_openvino(graph, folder / "int8.xml", RECIPES["int8-full"], frames)


@pytest.fixture(params=TARGETS)
def artifact(artifacts: dict[str, Artifact], request: pytest.FixtureRequest) -> Artifact:
    found: Artifact = artifacts[request.param]
    return found
