"""From a Jetson bundle to a running engine, with a fake TensorRT: cache, lock, proof, choice."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import fake_tensorrt
import numpy as np
import onnx
import pytest
from fake_tensorrt import FakeCuda, State
from onnx import numpy_helper
from rtx import docstrings
from small import write_street

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.machine.jetson import jetson, state
from edgeseg.progress import Progress
from edgeseg.quantize.recipes import named_recipes
from edgeseg.runtime.backends import trt_cache as engines
from edgeseg.runtime.backends.cuda import Cuda
from edgeseg.runtime.backends.trt import TensorRtBackend
from edgeseg.runtime.golden import replay_golden
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.select import build, variant_here
from edgeseg.verification.subjects import BundleModel

EIGHT = {"int8-linear", "int8-linear-map"}
CASTS = {"int8-linear-casts", "int8-linear-casts-map"}
SIXTEEN = {"fp16", "fp16-map"}


@pytest.fixture(scope="module")
def bundle(
    checkpoint_folder: Path, seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    street = write_street(tmp_path_factory.mktemp("data") / "street", seeded_bundle)
    request = ExportRequest(
        weights=str(checkpoint_folder),
        target="jetson",
        folder=tmp_path_factory.mktemp("bundles") / "jetson",
        dataset=open_dataset(street, split="test"),
        calibration=str(street),
        precision="auto",
        recipes=(named_recipes("jetson")["int8-linear"],),
        limits=Limits(max_drop=60, max_class_drop=None),
    )
    return export_bundle(request).bundle


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> State:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_tensorrt.install(monkeypatch)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def progress(said: list[str]) -> Progress:
    return Progress(say=said.append)


def graph(bundle: Bundle, name: str) -> Path:
    return bundle.path(next(v.file for v in bundle.manifest.variants if v.name == name))


def test_every_variant_is_built_proved_and_timed(
    bundle: Bundle, device: State, progress: Progress
) -> None:
    results = build(bundle, progress=progress)
    assert {result.variant for result in results} == EIGHT | SIXTEEN  # nothing stands in
    assert len(device.builds) == 4
    for result in results:
        assert result.fault is None
        assert result.agreement is not None
        assert result.latency_ms is not None
        assert result.latency_ms > 0
    times = [result.latency_ms for result in results if result.latency_ms is not None]
    assert times[0] * 0.97 <= min(times)  # of equal ones the more exact comes first
    assert device.limits == [4 << 30] * 4  # half of what is free
    assert device.flags == [2] * 4  # strongly typed
    assert FakeCuda.held == 0


def test_the_choice_and_the_engines_are_kept(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    first = variant_here(bundle, progress=progress)
    assert said[0] == "a new device: proving and timing the bundle's variants"
    assert sum("building the engine" in line for line in said) == 4
    del said[:]
    assert variant_here(bundle, progress=progress) == first
    with Segmenter(bundle, variant=first, progress=progress) as segmenter:
        assert segmenter.backend.name == "tensorrt 10.3.0"
    assert said == []
    assert len(device.builds) == 4
    (kept,) = (tmp_path / "cache" / "edgeseg" / "builds").iterdir()
    content = json.loads(kept.read_text())
    assert content["variant"] == first.name
    assert {result["variant"] for result in content["results"]} == EIGHT | SIXTEEN
    assert set(content["device"]) == {"model", "l4t", "power_mode", "gpu_mhz", "temperature_c"}


def test_masks_are_those_that_were_proved(bundle: Bundle, device: State) -> None:
    variant = next(v for v in bundle.manifest.variants if v.name == "fp16")
    assert replay_golden(bundle, variant, BundleModel(bundle, variant=variant).segment).passed


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
    assert variant_here(bundle).name != "fp16"


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
    assert len(device.builds) == 6


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
        assert FakeCuda.held == held == 5  # two ends on two sides, and a stream


def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "edgeseg" / "engines"


def test_a_damaged_engine_is_rebuilt(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("some minutes: there is none yet")
    (plan,) = folder(tmp_path).glob("*.plan")
    content = plan.read_bytes()
    plan.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("the old one is damaged")
    record = plan.with_suffix(".json")
    record.write_text("[]")
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("the old one's record is damaged")
    assert plan.read_bytes() == content
    engines.open_engine(onnx_file, progress=progress).close()
    assert said == []
    assert len(device.builds) == 3


def test_an_engine_that_does_not_load_is_rebuilt(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    """Its hash is right, but TensorRT takes it no more."""
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    (plan,) = folder(tmp_path).glob("*.plan")
    plan.write_bytes(b"of another kind")
    record = json.loads(plan.with_suffix(".json").read_text())
    record["sha256"] = engines.sha256_of(plan)
    plan.with_suffix(".json").write_text(json.dumps(record))
    del said[:]
    engines.open_engine(onnx_file, progress=progress).close()
    (line,) = said
    assert "the old one does not load (tensorrt 10.3.0 does not take the plan: ser" in line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("__version__", "10.7.0"), "tensorrt was 10.3.0 and is 10.7.0"),
        (("compute", "11.0"), "capability was 8.7 and is 11.0"),
        (("jetson", "36.5.0"), "l4t was  and is 36.5.0"),
    ],
)
def test_a_stale_engine_is_rebuilt(
    bundle: Bundle,
    device: State,
    progress: Progress,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    says: str,
) -> None:
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    del said[:]
    name, value = change
    if name == "compute":
        monkeypatch.setattr(FakeCuda, name, value)
    elif name == "jetson":
        monkeypatch.setattr(engines, name, lambda: engines_board(value))
    else:
        monkeypatch.setattr(fake_tensorrt, name, value)
    engines.open_engine(onnx_file, progress=progress).close()
    (line,) = said
    assert line.endswith(f"the old one is stale ({says})")
    assert len(list(folder(tmp_path).glob("*.plan"))) == 1


def engines_board(l4t: str):
    from edgeseg.machine.jetson import Jetson

    return Jetson(model="", l4t=l4t)


def test_an_engine_that_others_may_write_is_not_taken(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    (plan,) = folder(tmp_path).glob("*.plan")
    assert plan.stat().st_mode & 0o777 == 0o600
    plan.chmod(0o666)
    del said[:]
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("the old one is not this user's alone")
    assert plan.stat().st_mode & 0o777 == 0o600
    folder(tmp_path).chmod(0o777)
    with pytest.raises(BackendError, match="others may write to it; engines are code"):
        engines.open_engine(onnx_file, progress=progress)


def test_what_the_builder_measured_serves_the_next_build(
    bundle: Bundle, device: State, tmp_path: Path
) -> None:
    for name in ("fp16", "fp16-map"):
        engines.open_engine(graph(bundle, name), progress=Progress()).close()
    assert device.timing_caches == [b"", b"."]
    (cache,) = folder(tmp_path).glob("timing-*.cache")
    cache.write_bytes(b"foreign")
    engines.open_engine(graph(bundle, "int8-linear"), progress=Progress()).close()
    assert device.timing_caches[2:] == [b"foreign", b""]


def test_progress_is_told(bundle: Bundle, device: State) -> None:
    steps: list[tuple[str, int, int]] = []
    progress = Progress(part=lambda *step: steps.append(step))
    engines.open_engine(graph(bundle, "fp16"), progress=progress).close()
    assert steps == [("Building", done, 2) for done in (0, 1, 2, 2)]


def test_two_that_start_together_build_once(
    bundle: Bundle, device: State, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Event()
    built = engines.build_plan

    def slow(*arguments, **options):
        assert waits.wait(timeout=30)  # until the other one has found the lock
        return built(*arguments, **options)

    def hear(line: str) -> None:
        said.append(line)
        if "waiting" in line:
            waits.set()

    monkeypatch.setattr(engines, "build_plan", slow)
    opened: list[TensorRtBackend] = []
    threads = [
        threading.Thread(
            target=lambda: opened.append(
                engines.open_engine(graph(bundle, "fp16"), progress=Progress(say=hear))
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(opened) == 2
    assert len(device.builds) == 1
    assert sum("is building this engine; waiting for it" in line for line in said) == 1
    for backend in opened:
        backend.close()


def test_a_killed_builder_leaves_no_lock(bundle: Bundle, device: State, tmp_path: Path) -> None:
    name = engines.sha256_of(graph(bundle, "fp16"))[:16]
    engines._own_folder()
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from edgeseg.files.locks import lock_beside, locked
        with locked(lock_beside(Path({str(folder(tmp_path))!r}) / "{name}"), "the engine"):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert killed.returncode == -9
    said: list[str] = []
    engines.open_engine(graph(bundle, "fp16"), progress=Progress(say=said.append)).close()
    assert not any("waiting" in line for line in said)


def test_a_graph_that_is_no_graph_is_refused(device: State, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"\xff\xff not a graph")
    with pytest.raises(BackendError, match="does not parse the graph: not an ONNX file"):
        engines.open_engine(tmp_path / "x.onnx", progress=Progress())


def test_without_tensorrt_the_remedy_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match="comes with JetPack and not from pip"):
        variant_here(bundle)


def test_without_cuda_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.runtime.backends.cuda._LIBRARIES", ("libnothing.so",))
    with pytest.raises(BackendError, match="no CUDA runtime library was found"):
        Cuda()


def test_a_board_is_recognized(tmp_path: Path) -> None:
    assert (jetson(tmp_path).model, jetson(tmp_path).jetpack) == ("", "")
    assert state(tmp_path).power_mode is None
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet\n",
        "sys/class/devfreq/17000000.gpu/cur_freq": "624750000\n",
        "sys/class/thermal/thermal_zone0/temp": "48125\n",
        "sys/class/thermal/thermal_zone1/temp": "51500\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    board, now = jetson(tmp_path), state(tmp_path)
    assert board.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (board.l4t, board.jetpack) == ("36.4.3", "6")
    assert (now.power_mode, now.gpu_mhz, now.temperature_c) == ("2", 624.75, 51.5)


def stub() -> Iterator[tuple[str, str, list[str]]]:
    """Each class of the stub with each function of it and the names of its arguments."""
    text = (Path(__file__).parents[3] / "stubs" / "tensorrt" / "__init__.pyi").read_text()
    for kind in ast.parse(text).body:
        if isinstance(kind, ast.ClassDef):
            for part in kind.body:
                if isinstance(part, ast.FunctionDef) and not part.name.startswith("__"):
                    yield kind.name, part.name, [a.arg for a in part.args.args[1:]]


def test_the_stub_is_like_the_bindings_of_tensorrt_rtx() -> None:
    """RTX's bindings are generated as TensorRT's are; where both have a thing, it is called alike.

    A Jetson's TensorRT was not at hand.
    """
    if find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT-RTX is not installed")
    functions = {f"{kind}.{name}": arguments for kind, name, arguments in stub()}
    values = [
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "MemoryPoolType.WORKSPACE",
        "TensorIOMode.INPUT",
        "TensorIOMode.OUTPUT",
        "IBuilderConfig.progress_monitor",
        "ILogger.Severity.INTERNAL_ERROR",
        "ILogger.Severity.ERROR",
    ]
    found = docstrings([*functions, *values])
    assert list(found) == [*functions, *values]
    assert len(functions) > 20
    for name, arguments in functions.items():
        assert all(f"{argument}:" in found[name] for argument in arguments), (name, found[name])
