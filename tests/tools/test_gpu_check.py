"""The check of GPUs runs: on a fake device to its end, and without a GPU up to the plans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fake_tensorrt
import gpu_frames
import gpu_measure
import numpy as np
import pytest
from fake_tensorrt import State
from gpu_cases import write_cases
from gpu_kit import open_graph, write_kit
from made_once import made_once
from onnx import numpy_helper

from edgeseg.errors import BackendError
from edgeseg.runtime.backends.trt_library import RTX, TENSORRT
from edgeseg.runtime.gpu.module import Module

ROOT = Path(__file__).resolve().parents[2]
needs_rtx = pytest.mark.skipif(
    find_spec("tensorrt_rtx_bindings") is None, reason="needs TensorRT-RTX"
)


@pytest.fixture(scope="module")
def cases(common: Path) -> Path:
    """B0's forms in FP16 for frames of 64x64."""

    def make(folder: Path) -> None:
        write_kit(folder / "kit", ["b0"], ["exact"], (64, 64))
        write_cases(folder / "kit", folder / "cases", ["fp16"])

    return made_once(common / "gpu_cases", make) / "cases"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, module: Module) -> State:
    monkeypatch.setattr(gpu_frames, "WARM_UP", 0)
    monkeypatch.setattr(gpu_frames, "ROUNDS", 1)
    return fake_tensorrt.install(monkeypatch, module, library=RTX)


def measure(cases: Path, *, seconds: float = 600) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    gpu_measure.measure(cases, [RTX], seconds=seconds, workers=1, emit=lines.append)
    return lines


def pick(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def test_a_kit_is_small_and_gives_the_same_weights(cases: Path) -> None:
    path = cases.parent / "kit" / "b0_exact.onnx"
    assert path.stat().st_size < 500_000
    first, second = (open_graph(path) for _ in range(2))
    assert first.SerializeToString() == second.SerializeToString()
    values = [numpy_helper.to_array(w) for w in first.graph.initializer]
    assert sum(v.size for v in values) > 3_400_000  # B0, whose head is smaller where it is deployed


def test_every_case_is_built_proved_and_timed(cases: Path, device: State) -> None:
    lines = measure(cases)
    assert lines[0]["kind"] == "machine"
    assert lines[0]["libraries"] == ["tensorrt-rtx 1.7.1"]
    written = [(line["written"], line["batch"]) for line in pick(lines, "plan")]
    forms = ("tokens", "attention", "tokens-attention")
    assert written == [("", 1), *((form, 1) for form in forms), ("", 4), ("", 8)]
    proofs = pick(lines, "proof")
    assert len(proofs) == 6
    for proof in proofs:
        assert proof["finite"]
        assert proof["agreement"] > 99
        assert proof["relative_difference"] < 0.01
    assert len(pick(lines, "engine")) == 6
    (host, *_) = pick(lines, "frame")
    assert (host["way"], host["size"], host["classes"]) == ("host", "1280x720", 150)
    together = [line for line in pick(lines, "frame") if line["way"] == "together"]
    assert [line["batch"] for line in together] == [4, 8]
    assert all(line["share_of_one_by_one"] > 0 for line in together)
    assert pick(lines, "failed") == []
    json.dumps(lines)
    assert fake_tensorrt.FakeCuda.held == 0


def test_an_engine_that_computes_wrongly_shows(cases: Path, device: State) -> None:
    name = "b0_exact_fp16_plain_1.onnx"
    graph = (cases / name).read_bytes()
    model = open_graph(cases.parent / "kit" / "b0_exact.onnx")
    for weight in model.graph.initializer:
        if weight.name == "head.classifier.weight":
            negative = numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name)
            weight.CopyFrom(negative)
    device.swapped[graph] = model.SerializeToString()
    first = pick(measure(cases), "proof")[0]
    assert first["agreement"] < 50
    assert first["relative_difference"] > 1


def test_a_refused_form_and_a_failing_engine_are_lines(cases: Path, device: State) -> None:
    device.unknown.append("Attention")
    device.fails = True
    lines = measure(cases)
    assert [line["written"] for line in pick(lines, "refused")] == ["attention", "tokens-attention"]
    assert all("no importer for Attention" in line["why"] for line in pick(lines, "refused"))
    assert len(pick(lines, "failed")) == 4
    assert fake_tensorrt.FakeCuda.held == 0


def test_what_the_time_is_too_short_for_is_named(cases: Path, device: State) -> None:
    lines = measure(cases, seconds=0)
    (line,) = pick(lines, "skipped")
    assert line["why"] == "the time was too short"
    assert len(line["what"].split(", ")) == 6


def test_without_a_library_it_says_so(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match="no library to measure: this bundle needs TensorRT"):
        gpu_measure.measure(cases, [TENSORRT], seconds=1, workers=1, emit=lambda _line: None)


@needs_rtx
def test_without_a_gpu_the_real_library_goes_as_far_as_the_plans(
    cases: Path, tmp_path: Path
) -> None:
    few = json.loads((cases / "cases.json").read_text())[:2]
    for file in ("frame.npy", *(case["file"] for case in few)):
        (tmp_path / file).symlink_to(cases / file)
    (tmp_path / "cases.json").write_text(json.dumps(few))
    script = [sys.executable, str(ROOT / "tools" / "gpu_measure.py"), str(tmp_path)]
    done = subprocess.run(
        [*script, "--seconds", "60", "--library", "rtx", "--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if lines[0]["device"] is not None:
        pytest.skip("there is a GPU")
    assert [line["written"] for line in pick(lines, "plan")] == ["", "tokens"]
    assert pick(lines, "plan")[0]["bytes"] > 1 << 20
    assert pick(lines, "skipped")[-1]["what"].startswith("proof, engine times, whole frames")


def test_wrong_words_show_the_usage() -> None:
    done = subprocess.run(
        [ROOT / "tools" / "gpu_check.sh", "measure"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "tools/gpu_check.sh run [FOLDER]" in done.stderr


@needs_rtx
@pytest.mark.long
def test_the_whole_script(tmp_path: Path) -> None:
    options = {
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "KIT_OPTIONS": "--size 64x64 --networks b0 --forms exact",
        "CASES_OPTIONS": "--precisions int8",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [ROOT / "tools" / "gpu_check.sh", "run"],
        capture_output=True, text=True, check=False, env={**os.environ, **options},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(pick(lines, "plan")) == 6
    assert np.isfinite([line["build_s"] for line in pick(lines, "plan")]).all()
    assert list(tmp_path.iterdir()) == []
