"""On an Arm CPU with FP16, OpenVINO's files are proved and timed there in FP16 and in FP32."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import openvino
import pytest

from edgeseg.bundle.manifest import Machine
from edgeseg.bundle.store import Bundle
from edgeseg.machine import cpu
from edgeseg.runtime.backends import openvino_devices
from edgeseg.runtime.backends.backend import open_backend
from edgeseg.runtime.backends.openvino import list_devices
from edgeseg.runtime.backends.placing import place_variants
from edgeseg.runtime.proving import choose, race, remember
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.choose import choose_variant

# What /proc/cpuinfo and OpenVINO tell of a Raspberry Pi 5 and of a Raspberry Pi 4.
A76 = "fp asimd evtstrm aes fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
A72 = "fp asimd evtstrm crc32 cpuid"
WITH_FP16 = ["FP32", "FP16", "INT8", "BIN", "EXPORT_IMPORT"]
WITHOUT = ["FP32", "INT8", "BIN", "EXPORT_IMPORT"]
HINT = "INFERENCE_PRECISION_HINT"

Pose = Callable[[str, str, list[str]], Machine]


@pytest.fixture
def pose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pose:
    """Let edgeseg see another CPU, and OpenVINO tell another CPU's capabilities."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def do(architecture: str, features: str, capabilities: list[str]) -> Machine:
        monkeypatch.setattr(cpu, "_read_cpuinfo", lambda: {"Features": features})
        monkeypatch.setattr(cpu.platform, "machine", lambda: architecture)
        machine = cpu.describe_machine.__wrapped__()
        for module in (openvino_devices, choose, remember):
            monkeypatch.setattr(module, "describe_machine", lambda: machine)

        class Core(openvino.Core):  # type: ignore[misc]
            @property
            def available_devices(self) -> list[str]:
                return ["CPU"]

            def get_property(self, device: str, name: str) -> Any:
                if name == "OPTIMIZATION_CAPABILITIES":
                    return capabilities
                return super().get_property(device, name)

            # What an x86 CPU makes of the hint is not what Arm's does.
            def compile_model(self, path: str, device: str, options: dict[str, str]) -> Any:
                return super().compile_model(path, device, options | {HINT: "f32"})

            def import_model(self, blob: Any, device: str, options: dict[str, str]) -> Any:
                return super().import_model(blob, device, options | {HINT: "f32"})

        monkeypatch.setattr(openvino, "Core", Core)
        return machine

    return do


@pytest.mark.parametrize(
    ("architecture", "features", "capabilities", "types"),
    [
        ("aarch64", A76, WITH_FP16, ("f16", "f32")),
        ("arm64", A76, WITH_FP16, ("f16", "f32")),
        ("aarch64", A72, WITHOUT, ()),
        ("x86_64", "avx2 avx512f amx_fp16", [*WITH_FP16, "BF16"], ()),
    ],
)
def test_only_arm_with_fp16_gives_its_cpu_types(
    pose: Pose, architecture: str, features: str, capabilities: list[str], types: tuple[str, ...]
) -> None:
    pose(architecture, features, capabilities)
    (device,) = list_devices()
    assert (device.name, device.types) == ("cpu", types)


def test_files_are_placed_in_fp16_and_fp32_and_bf16_is_left_out(
    pose: Pose, openvino_bundle: Bundle
) -> None:
    pose("aarch64", A76, WITH_FP16)
    (fp32,) = (one for one in openvino_bundle.manifest.variants if one.compute == "f32")
    bf16 = msgspec.structs.replace(fp32, name="bf16", precision="bf16", compute="bf16")
    int8 = msgspec.structs.replace(
        fp32, name="int8-linear", precision="int8", file="artifacts/int8-linear.xml"
    )
    int8_bf16 = msgspec.structs.replace(int8, name="int8-linear+bf16", compute="bf16")
    placed = place_variants([bf16, fp32, int8_bf16, int8], list_devices())
    assert [(one.title, one.precision, one.compute) for one in placed] == [
        ("fp32 in f16", "fp16", "f16"),
        ("fp32 in f32", "fp32", "f32"),
        ("int8-linear in f16", "int8", "f16"),
        ("int8-linear in f32", "int8", "f32"),
    ]


def test_an_x86_bundle_is_proved_timed_and_remembered_in_fp16(
    pose: Pose, openvino_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose("aarch64", A76, WITH_FP16)
    monkeypatch.setattr(
        race, "time_frames", lambda _bundle, working: {t: 1.0 + ("f16" not in t) for t in working}
    )
    results = build(openvino_bundle)
    assert [(one.title, one.precision, one.device, one.fault) for one in results] == [
        ("fp32 in f16", "fp16", "cpu", None),
        ("fp32 in f32", "fp32", "cpu", None),
    ]
    assert all((one.agreement or 0.0) > 99.0 for one in results)
    chosen = choose_variant(openvino_bundle)
    assert (chosen.name, chosen.compute) == ("fp32", "f16")
    with closing(open_backend(openvino_bundle, variant=chosen)) as backend:
        assert " f16 (latency hint, threads: " in backend.name
