"""A variant on each device of the engine is proved, timed and remembered like a variant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.cli.answers.build import describe_build
from edgeseg.errors import DeviceError, GateMissedError
from edgeseg.machine import packages
from edgeseg.machine.packages import find_engine_version
from edgeseg.progress import Progress
from edgeseg.runtime.backends import onnxruntime as runner
from edgeseg.runtime.backends.backend import open_backend
from edgeseg.runtime.backends.placing import find_device
from edgeseg.runtime.proving import build as build_module
from edgeseg.runtime.proving import race, remember, trial
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.proving.remember import recall_variant
from edgeseg.targets import find_target

CUDA = "CUDAExecutionProvider"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where onnxruntime-gpu is installed on a machine without a GPU: the CPU is taken."""
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"]
    )


@pytest.fixture
def gpu(listed: None, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[Any], Any]]:
    """A provider that loads, and computes on the CPU; changes to its outputs may be added."""
    session, changes = onnxruntime.InferenceSession, []

    class OnGpu:
        def __init__(self, model: Any, options: Any, providers: list[Any]) -> None:
            self.on_gpu = providers[0] != "CPUExecutionProvider"
            self.inner = session(model, options, providers=["CPUExecutionProvider"])

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def get_providers(self) -> list[str]:
            return [CUDA] if self.on_gpu else ["CPUExecutionProvider"]

        def run(self, *given: Any) -> list[np.ndarray]:
            (output,) = self.inner.run(*given)
            for change in changes if self.on_gpu else ():
                output = change(output)
            return [output]

    monkeypatch.setattr(onnxruntime, "InferenceSession", OnGpu)
    return changes


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try in this process, which alone has the provider; test_pretend_device has another one."""
    monkeypatch.setattr(build_module, "try_apart", trial.try_here)


def choose_faster(monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    monkeypatch.setattr(
        race, "time_frames", lambda _bundle, working: {t: 1.0 + (t != title) for t in working}
    )


def test_a_provider_that_does_not_load_is_out_in_one_line(
    seeded_bundle: Bundle, listed: None, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    variant = choose_variant(seeded_bundle, progress=Progress(say=said.append))
    assert said[0].startswith("cuda may be faster than cpu, where it was made: proving and timing")
    trying, line = said[1:]
    assert trying.startswith("trying fp32 on cuda: ")
    assert line.startswith(f"cuda is out: onnxruntime {onnxruntime.__version__} lists {CUDA}, but")
    assert find_device(variant) == "cpu"
    assert choose_variant(seeded_bundle, progress=Progress(say=said.append)) == variant
    assert len(said) == 3
    assert capfd.readouterr() == ("", "")  # nothing of ONNX Runtime's own


def test_the_faster_device_is_kept_and_named(
    seeded_bundle: Bundle, gpu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_faster(monkeypatch, "fp32 on cuda")
    results = build(seeded_bundle)
    assert [(r.variant, r.device, r.title) for r in results] == [
        ("fp32", "cuda", "fp32 on cuda"),
        ("fp32", "cpu", "fp32"),
    ]
    lines = describe_build(results, kept=True)
    assert lines[0].startswith("fp32 on cuda: 1.0 ms a frame; golden frames agree in 100.00 %")
    assert lines[-1] == "fp32 on cuda runs here from now on"
    known = recall_variant(seeded_bundle)
    assert known is not None
    assert known == choose_variant(seeded_bundle)
    with closing(open_backend(seeded_bundle, variant=known)) as backend:
        assert " (cuda, threads: " in backend.name


def test_the_cpu_is_kept_where_it_is_faster(
    seeded_bundle: Bundle, gpu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_faster(monkeypatch, "fp32")
    variant = choose_variant(seeded_bundle)
    assert (variant.name, find_device(variant)) == ("fp32", "cpu")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda logits: logits[:, ::-1], "agrees in"),
        (lambda logits: logits * np.float32(np.nan), "logits that are not finite"),
    ],
)
def test_a_device_that_computes_wrongly_is_out_by_name(
    seeded_bundle: Bundle, gpu: list[Any], change: Callable[[Any], Any], fault: str
) -> None:
    gpu.append(change)
    said: list[str] = []
    results = {r.title: r for r in build(seeded_bundle, progress=Progress(say=said.append))}
    assert results["fp32"].fault is None
    assert fault in str(results["fp32 on cuda"].fault)
    assert results["fp32 on cuda"].latency_ms is None
    assert said[-1].startswith("fp32 on cuda is out: ")


def test_the_answer_is_for_these_devices(
    seeded_bundle: Bundle, gpu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu = remember.find_memory(seeded_bundle)
    assert "'cuda'" in runner.identity()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert remember.find_memory(seeded_bundle) != with_gpu
    assert find_device(choose_variant(seeded_bundle)) in {None, "cpu"}


def test_a_device_that_went_is_an_error_of_one_line(
    seeded_bundle: Bundle, gpu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variant that was chosen on a GPU, opened in a process that has none."""
    choose_faster(monkeypatch, "fp32 on cuda")
    variant = choose_variant(seeded_bundle)
    monkeypatch.undo()
    with pytest.raises(DeviceError, match="does not load"):
        open_backend(seeded_bundle, variant=variant)


def test_with_no_device_left_every_reason_is_given(
    seeded_bundle: Bundle, gpu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.OrtBackend, "infer", lambda _self, _frame: np.zeros(3))
    with pytest.raises(GateMissedError, match=r"\(fp32: .*; fp32 on cuda: "):
        build(seeded_bundle)


def test_the_engine_may_come_from_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(packages, "find_version", versions.get)
    assert find_engine_version(find_target("onnxruntime")) == "1.31.1"
    assert find_engine_version(find_target("openvino")) is None
