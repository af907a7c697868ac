"""INT8 artifacts of the demo's network at a small size, one for each target, and their teachers."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
from artifacts import Artifact
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
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("artifacts")
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
    shutil.copyfile(folder / "teacher.onnx", folder / "graph.onnx")
    teacher = openvino.convert(folder / "graph.onnx")
    openvino.quantize_openvino(teacher, folder / "int8.xml", RECIPES["int8-full"], frames)
    return {
        "onnxruntime": Artifact(
            path=folder / "int8.onnx",
            teacher=folder / "teacher.onnx",
            open=partial(open_artifact, "onnxruntime"),
        ),
        "openvino": Artifact(
            path=folder / "int8.xml", teacher=teacher, open=partial(open_artifact, "openvino")
        ),
        "jetson": Artifact(
            path=folder / "typed.onnx", teacher=folder / "teacher.onnx", open=open_emulation
        ),
    }


@pytest.fixture(params=TARGETS)
def artifact(artifacts: dict[str, Artifact], request: pytest.FixtureRequest) -> Artifact:
    found: Artifact = artifacts[request.param]
    return found
