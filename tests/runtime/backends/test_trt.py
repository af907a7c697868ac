"""From a Jetson bundle to a running engine, with a fake TensorRT: cache, lock, proof, choice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fake_tensorrt
import numpy as np
import onnx
import pytest
from fake_tensorrt import FakeCuda, State
from onnx import numpy_helper
from trt_names import graph

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.progress import Progress
from edgeseg.runtime.backends import trt_cache as engines
from edgeseg.runtime.golden import judge_golden
from edgeseg.runtime.gpu.cuda import Cuda
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.verification.subjects import BundleModel

FORMS = ("-tokens", "-attention", "-tokens-attention")

EIGHT = {"int8-linear" + end for end in ("", "-map", *FORMS)}


CASTS = {"int8-linear-casts", "int8-linear-casts-map"}


SIXTEEN = {"fp16" + end for end in ("", "-map", *FORMS)}


def test_every_variant_is_built_proved_and_timed(
    bundle: Bundle, device: State, progress: Progress
) -> None:
    results = build(bundle, progress=progress)
    assert {result.variant for result in results} == EIGHT | SIXTEEN  # nothing stands in
    assert len(device.builds) == 10
    for result in results:
        assert result.fault is None
        assert result.agreement is not None
        assert result.latency_ms is not None
        assert result.latency_ms > 0
    times = [result.latency_ms for result in results if result.latency_ms is not None]
    assert times[0] * 0.97 <= min(times)  # of equal ones the more exact comes first
    assert device.limits == [4 << 30] * 10  # half of what is free
    assert device.flags == [2] * 10  # strongly typed
    assert FakeCuda.held == 0


def test_the_choice_and_the_engines_are_kept(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    first = choose_variant(bundle, progress=progress)
    assert said[0] == "a new device: proving and timing the bundle's variants"
    assert sum("building the engine" in line for line in said) == 10
    del said[:]
    assert choose_variant(bundle, progress=progress) == first
    with Segmenter(bundle, variant=first, progress=progress) as segmenter:
        assert segmenter.backend.name == "tensorrt 10.3.0"
    assert said == []
    assert len(device.builds) == 10
    (kept,) = (tmp_path / "cache" / "edgeseg" / "builds").iterdir()
    content = json.loads(kept.read_text())
    assert content["variant"] == first.name
    assert {result["variant"] for result in content["results"]} == EIGHT | SIXTEEN
    assert set(content["device"]) == {"model", "l4t", "power_mode", "gpu_mhz", "temperature_c"}


def test_masks_are_those_that_were_proved(bundle: Bundle, device: State) -> None:
    variant = next(v for v in bundle.manifest.variants if v.name == "fp16")
    assert judge_golden(bundle, variant, BundleModel(bundle, variant=variant).segment).passed


def test_the_casts_form_is_tried_where_the_first_is_not_built(
    bundle: Bundle, device: State, progress: Progress, said: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        refuse_typed_scales(patch)
        results = build(bundle, progress=progress)
    faults = {result.variant: result.fault for result in results}
    assert set(faults) == EIGHT | CASTS | SIXTEEN
    assert all(faults[name] is None for name in CASTS | SIXTEEN)
    assert all("does not build the graph: no kernel for this node" in faults[n] for n in EIGHT)
    assert any(line.startswith("int8-linear is out: tensorrt 10.3.0") for line in said)


def refuse_typed_scales(patch: pytest.MonkeyPatch) -> None:
    """As NVIDIA/TensorRT issue 4832: no dequantization with an FP16 scale."""
    built = fake_tensorrt.Builder.build_serialized_network

    def build_serialized_network(self, network, config):
        model = onnx.load_from_string(network["graph"])
        scales = {n.input[1] for n in model.graph.node if n.op_type == "DequantizeLinear"}
        kinds = {w.data_type for w in model.graph.initializer if w.name in scales}
        refused = onnx.TensorProto.FLOAT16 in kinds
        fake_tensorrt.STATE.refused = ["stage1.patch_embed"] if refused else []
        return built(self, network, config)

    patch.setattr(fake_tensorrt.Builder, "build_serialized_network", build_serialized_network)


def test_a_form_that_the_parser_refuses_is_no_error_while_another_stands(
    bundle: Bundle, device: State, progress: Progress, said: list[str]
) -> None:
    """As TensorRT 10.3 refuses the operator Attention."""
    device.unknown.append("Attention")
    results = {result.variant: result for result in build(bundle, progress=progress)}
    refused = {name for name in results if name.endswith("attention")}
    assert len(refused) == 4
    for name, result in results.items():
        assert (result.fault is not None) == (name in refused), (name, result.fault)
    for name in refused:
        (line,) = (line for line in said if line.startswith(f"{name} is out"))
        assert line.endswith("does not parse the graph: no importer for Attention")
    assert len(device.builds) == 6


def other_weights(graph: bytes) -> bytes:
    model = onnx.load_from_string(graph)
    for weight in model.graph.initializer:
        if weight.name.startswith("head.classifier.weight"):
            values = numpy_helper.to_array(weight)
            weight.CopyFrom(numpy_helper.from_array(-values, weight.name))
    return model.SerializeToString()


def test_a_planted_wrong_engine_is_dropped_by_the_golden_frames(
    bundle: Bundle, device: State, progress: Progress, said: list[str]
) -> None:
    whole = graph(bundle, "fp16").read_bytes()
    device.swapped[whole] = other_weights(whole)
    results = {result.variant: result for result in build(bundle, progress=progress)}
    assert results["fp16"].latency_ms is None
    assert "golden/frame_0.png agrees in" in str(results["fp16"].fault)
    assert any(line.startswith("fp16 is out: golden/frame_0.png agrees") for line in said)
    assert results["fp16-map"].fault is None
    assert choose_variant(bundle).name != "fp16"


def test_logits_that_are_no_numbers_are_a_fault(bundle: Bundle, device: State) -> None:
    whole = graph(bundle, "fp16").read_bytes()
    model = onnx.load_from_string(whole)
    for weight in model.graph.initializer:
        if weight.name == "head.classifier.bias":
            values = np.full_like(numpy_helper.to_array(weight), np.nan)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    device.swapped[whole] = model.SerializeToString()
    results = {result.variant: result for result in build(bundle)}
    assert results["fp16"].latency_ms is None
    assert results["fp16"].fault is not None


def test_with_none_left_it_is_a_missed_gate(bundle: Bundle, device: State) -> None:
    device.refused.append("stage1.patch_embed")
    with pytest.raises(GateMissedError, match=r"no variant .* works .*fp16: tensorrt 10.3.0 does"):
        build(bundle)
    assert len(device.builds) == 12


def test_an_engine_that_fails_says_so(bundle: Bundle, device: State) -> None:
    variant = next(v for v in bundle.manifest.variants if v.name == "fp16")
    with Segmenter(bundle, variant=variant) as segmenter:
        device.fails = True
        with pytest.raises(BackendError, match="tensorrt 10.3.0 failed: it gives no reason"):
            segmenter.segment(np.zeros((96, 128, 3), np.uint8))
        backend = segmenter.backend
        with pytest.raises(BackendError, match=r"the model takes uint8 \(1, 96, 128, 3\)"):
            backend.infer(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(BackendError, match="was closed"):
        backend.infer(np.zeros((1, 96, 128, 3), np.uint8))
    backend.close()
    assert FakeCuda.held == 0


def test_no_frame_allocates(bundle: Bundle, device: State) -> None:
    variant = next(v for v in bundle.manifest.variants if v.name == "fp16")
    with Segmenter(bundle, variant=variant) as segmenter:
        held = FakeCuda.held
        frame = np.zeros((1, 96, 128, 3), np.uint8)
        first = segmenter.backend.infer(frame)
        assert segmenter.backend.infer(frame) is first
        assert FakeCuda.held == held == 7  # two ends on two sides, two streams, and the kernels


def test_a_graph_that_is_no_graph_is_refused(device: State, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"\xff\xff not a graph")
    with pytest.raises(BackendError, match="does not parse the graph: not an ONNX file"):
        engines.open_engine(tmp_path / "x.onnx", progress=Progress())


def test_without_tensorrt_the_remedy_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match="comes with JetPack and not from pip"):
        choose_variant(bundle)


def test_without_cuda_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.runtime.gpu.cuda._LIBRARIES", ("libnothing.so",))
    with pytest.raises(BackendError, match="no CUDA runtime library was found"):
        Cuda()
