"""A pretend NPU of OpenVINO's is proved, timed and remembered, or is out by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import openvino
import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.progress import Progress
from edgeseg.runtime.backends.backend import open_artifact, open_backend
from edgeseg.runtime.proving import build as build_module
from edgeseg.runtime.proving import race, trial
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.choose import choose_variant

if TYPE_CHECKING:
    from outcome import Outcome

FOLDER = Path(__file__).parents[2] / "support" / "pretend_device"
NPU = "fp32 in f16 on npu"


@pytest.fixture
def bundle(openvino_bundle: Bundle) -> Bundle:
    return openvino_bundle


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put the device into this process, and into those that it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = [str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "sitecustomize", raising=False)
    import sitecustomize

    monkeypatch.setattr(openvino, "Core", sitecustomize.wrap(openvino.Core))

    def do(way: str) -> None:
        monkeypatch.setenv("PRETEND_DEVICE", way)

    return do


def test_a_device_that_computes_right_is_timed_named_and_remembered(
    bundle: Bundle, pretend: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend("right")
    monkeypatch.setattr(
        race, "time_frames", lambda _bundle, working: {t: 1.0 + (t != NPU) for t in working}
    )
    said: list[str] = []
    variant = choose_variant(bundle, progress=Progress(say=said.append))
    assert said[0].startswith("npu may be faster than cpu, where it was made: proving and timing")
    with closing(open_backend(bundle, variant=variant)) as backend:
        assert backend.name.endswith(" f16 (npu, Pretend AI Boost, latency hint)")
    del said[:]
    assert choose_variant(bundle, progress=Progress(say=said.append)) == variant
    assert said == []
    cpu = choose_variant(bundle, device="cpu", progress=Progress(say=said.append))
    assert (cpu.name, cpu.compute, said) == ("fp32", "f32", [])


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        ("wrong", "golden/frame_0.png agrees in "),
        ("garbage", "golden/frame_0.png agrees in "),
        ("nan", "gave logits that are not finite"),
        ("differs", "two masks of golden/frame_0.png differ in "),
        ("crashes", "its process ended by SIGSEGV"),
        ("refuses", "no such operator: Gelu"),
        ("hangs", "it did not compile and compute within 6 s"),
    ],
)
def test_a_device_that_fails_is_out_by_name_and_never_timed(
    bundle: Bundle,
    pretend: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    fault: str,
) -> None:
    pretend(way)
    if way == "hangs":
        own = trial.try_apart
        monkeypatch.setattr(build_module, "try_apart", lambda b, v: own(b, v, limit_s=6))
    said: list[str] = []
    results = {one.title: one for one in build(bundle, progress=Progress(say=said.append))}
    assert results["fp32"].fault is None
    assert fault in str(results[NPU].fault)
    assert results[NPU].latency_ms is None
    assert any(line.startswith(f"{NPU} is out: ") for line in said)
    assert choose_variant(bundle).name == "fp32"


def test_another_driver_proves_anew(
    bundle: Bundle, pretend: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend("right")
    said: list[str] = []
    choose_variant(bundle, device="npu", progress=Progress(say=said.append))
    assert said[0].startswith("npu was asked for, and it was made on cpu: proving")
    del said[:]
    choose_variant(bundle, device="npu", progress=Progress(say=said.append))
    assert said == []
    told = sys.modules["sitecustomize"].TOLD
    monkeypatch.setitem(told, "NPU_DRIVER_VERSION", "1.36.0")
    choose_variant(bundle, device="npu", progress=Progress(say=said.append))
    assert said


def test_the_command_line_restricts_and_names_devices(
    bundle: Bundle, pretend: Callable[[str], None], edgeseg: Callable[..., Outcome]
) -> None:
    pretend("right")
    outcome = edgeseg("run", bundle.folder, "--source", "demo", "--frames", 2, "--device", "npu")
    assert outcome.status == 0, outcome.err
    assert f"({NPU}) on openvino" in outcome.err
    outcome = edgeseg("build", bundle.folder, "--device", "cpu", "--json")
    assert [one["title"] for one in outcome.json["variants"]] == ["fp32"]
    outcome = edgeseg("bench", bundle.folder, "--device", "gpu", "--frames", 1)
    assert outcome.status == 1
    assert outcome.err == (
        "edgeseg: no device gpu here: this bundle's engine offers cpu and npu; to see what is "
        "there run: edgeseg doctor\n"
    )
    outcome = edgeseg("doctor", "--json")
    assert outcome.json["devices"]["openvino"] == ["cpu", "npu (Pretend AI Boost)"]


def test_the_npu_is_measured_named_and_repeated_in_hints(
    bundle: Bundle, pretend: Callable[[str], None], edgeseg: Callable[..., Outcome]
) -> None:
    """Its memory is that of a process that runs it."""
    pretend("right")
    outcome = edgeseg("bench", bundle.folder, "--device", "NPU", "--frames", 1, "--json")
    assert outcome.status == 0, outcome.err
    (result,) = outcome.json["results"]
    assert result["runs_on"] == "npu"
    assert result["peak_rss_mb"] > 50
    assert "(npu, Pretend AI Boost, latency hint) on npu, fp16)" in outcome.err
    assert outcome.err.endswith("--source VIDEO --device NPU\n")
    outcome = edgeseg("verify", bundle.folder, "--device", "npu", "--max-memory-mb", 9000)
    assert outcome.status == 0, outcome.err
    assert "measured on openvino" in outcome.err
    assert "(npu, Pretend AI Boost" in outcome.err
    assert outcome.err.endswith("--device npu\n")
    outcome = edgeseg("inspect", bundle.folder)
    assert "here         on cpu and npu; edgeseg build proves each variant there" in outcome.err


def test_a_device_alone_that_fails_names_another_one(
    bundle: Bundle, pretend: Callable[[str], None], edgeseg: Callable[..., Outcome]
) -> None:
    pretend("nan")
    outcome = edgeseg("build", bundle.folder, "--device", "npu")
    assert outcome.status == 3
    assert outcome.err.endswith("gave logits that are not finite); try --device cpu\n")


def test_what_is_tried_once_is_not_kept(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A search for variants tries many files, which would crowd out those that run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    open_artifact("openvino", bundle.path(bundle.chosen.file)).close()
    assert not (tmp_path / "cache").exists()
    open_backend(bundle).close()
    assert len(list((tmp_path / "cache" / "edgeseg" / "models").glob("*.blob"))) == 1


@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_what_was_compiled_is_kept_by_its_content(
    bundle: Bundle,
    pretend: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: str,
) -> None:
    pretend("right")
    variant = choose_variant(bundle, device=device)
    kept = tmp_path / "cache" / "edgeseg" / "models"

    def open_once() -> None:
        open_backend(bundle, variant=variant).close()

    open_once()
    blobs = sorted(kept.glob("*.blob"))
    assert blobs
    compiled: list[object] = []
    core = openvino.Core
    monkeypatch.setattr(core, "compile_model", lambda self, *given: compiled.append(given) or 1 / 0)
    open_once()  # nothing is compiled
    assert compiled == []
    for blob in blobs:
        blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(ZeroDivisionError):
        open_once()  # a changed one is not loaded
