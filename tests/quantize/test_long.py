"""What takes minutes: the CamVid checkpoint, memory, an old CPU. `make check-long`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from small import write_street

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest

pytestmark = pytest.mark.long


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_camvid_int8_loses_next_to_nothing(
    target: str,
    camvid: Path,
    camvid_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At most 0.3 points on the half that decides, and no class 3."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    request = ExportRequest(
        weights=str(camvid_weights),
        target=target,
        folder=tmp_path / "b",
        dataset=open_dataset(camvid, split="test"),
        calibration=str(camvid),
        calibration_images=100,
        precision="int8",
        limits=Limits(max_drop=0.3, max_class_drop=3),
    )
    exported = export_bundle(request)
    fp32 = next(v for v in exported.bundle.manifest.variants if v.name == "fp32")
    assert fp32.search is not None
    assert fp32.gate is not None
    assert fp32.search.images + fp32.gate.images == 147
    chosen = exported.bundle.chosen
    assert chosen.precision == "int8"
    assert chosen.int8_share >= 0.5
    assert chosen.gate is not None
    assert chosen.gate.drop is not None
    assert chosen.gate.drop <= 0.3


def test_memory_does_not_grow_with_images() -> None:
    script = ROOT / "benchmarks" / "calibration_memory.py"
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    for target in ("onnxruntime", "openvino"):
        few, many = (line for line in lines if line["target"] == target)
        assert (few["images"], many["images"]) == (50, 500)
        assert many["peak_mb"] <= 1.1 * few["peak_mb"]
        assert many["peak_mb"] < 2000


def test_an_old_cpu_computes_int8_correctly(
    checkpoint_folder: Path,
    seeded_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Haswell has AVX2 and no VNNI: without the engine's switch, products saturate there."""
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if emulator is None:
        pytest.skip("qemu-x86_64 is absent (tools/install-system-packages.sh --long)")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    street = write_street(tmp_path / "street", seeded_bundle)
    request = ExportRequest(
        weights=str(checkpoint_folder),
        target="onnxruntime",
        folder=tmp_path / "b",
        dataset=open_dataset(street, split="test"),
        calibration=str(street),
        precision="int8",
        limits=Limits(max_drop=90, max_class_drop=None),
    )
    bundle = export_bundle(request).bundle
    code = f"""
from pathlib import Path
from edgeseg.bundle.store import open_bundle
from edgeseg.bundle.manifest import Machine
from edgeseg.runtime.backends import onnxruntime as ort
from edgeseg.runtime.golden import judge_golden
from edgeseg.verification.subjects import BundleModel
old = Machine(cpu="Haswell", architecture="x86_64", features=("avx2",), cores=1)
ort.describe_machine = lambda: old  # qemu hands the host's /proc/cpuinfo on
bundle = open_bundle(Path({str(bundle.folder)!r}))
gates = judge_golden(bundle, bundle.chosen, BundleModel(bundle).segment).gates
print([(gate.value, gate.limit) for gate in gates])
assert all(gate.passed for gate in gates)
"""
    command = [emulator, "-cpu", "Haswell", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
