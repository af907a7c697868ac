"""What every backend promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeseg.bundle.manifest import Machine
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.runtime.backends import onnxruntime as ort
from edgeseg.runtime.backends.backend import Backend, open_artifact, open_backend
from edgeseg.runtime.backends.onnxruntime import products_saturate
from edgeseg.runtime.backends.openvino import list_float_types


@pytest.fixture(params=["onnxruntime", "openvino"])
def bundle(request: pytest.FixtureRequest, seeded_bundle: Bundle) -> Bundle:
    """OpenVINO reads the same ONNX file."""
    manifest = msgspec.structs.replace(seeded_bundle.manifest, target=request.param)
    return replace(seeded_bundle, manifest=manifest)


@pytest.fixture
def backend(bundle: Bundle) -> Iterator[Backend]:
    with closing(open_backend(bundle)) as opened:
        yield opened


def frame(seed: int = 0, shape: tuple[int, ...] = (1, 96, 128, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_logits_have_the_promised_shape(backend: Backend) -> None:
    logits = backend.infer(frame())
    assert logits.shape == (1, 11, 24, 32)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_the_same_frame_gives_the_same_logits(backend: Backend) -> None:
    first = backend.infer(frame()).copy()
    backend.infer(frame(1))
    np.testing.assert_array_equal(backend.infer(frame()), first)


def test_the_number_of_threads_does_not_change_the_mask(bundle: Bundle) -> None:
    one, two = (open_backend(bundle, threads=n).infer(frame()).copy() for n in (1, 2))
    # Sums are split differently, so single roundings may differ.
    np.testing.assert_allclose(one, two, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [frame(shape=(1, 64, 64, 3)), frame(shape=(96, 128, 3)), frame().astype(np.float32)],
    ids=["size", "no batch", "dtype"],
)
def test_another_input_is_refused(backend: Backend, wrong: np.ndarray) -> None:
    with pytest.raises(BackendError, match=r"takes uint8 \(1, 96, 128, 3\), got"):
        backend.infer(wrong)


def test_closing_twice_is_harmless(backend: Backend) -> None:
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(frame())


def test_the_name_has_the_version(bundle: Bundle, backend: Backend) -> None:
    version = metadata.version(bundle.manifest.target)
    assert backend.name.startswith(f"{bundle.manifest.target} {version}")


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_a_broken_artifact_is_refused(target: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BackendError, match=r"refuses .*model\.onnx"):
        open_artifact(target, tmp_path / "model.onnx")


def test_another_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BackendError,
        match="edgeseg has no target abacus, only .* and rtx; if a ",
    ):
        open_artifact("abacus", tmp_path / "model.onnx")


def test_both_engines_compute_the_same(seeded_bundle: Bundle) -> None:
    """OpenVINO's FP32 is FP32: with its own default it would be BF16 on some CPUs."""
    path = seeded_bundle.path("model.onnx")
    first, second = (
        open_artifact(target, path).infer(frame()) for target in ("onnxruntime", "openvino")
    )
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_a_16_bit_type_is_not_fp32(seeded_bundle: Bundle) -> None:
    path = seeded_bundle.path("model.onnx")
    exact = open_artifact("openvino", path).infer(frame()).copy()
    others = [compute for compute in list_float_types() if compute != "f32"]
    if not others:
        pytest.skip("this CPU has no 16-bit float in OpenVINO")
    for compute in others:
        found = open_artifact("openvino", path, compute=compute).infer(frame())
        assert 1e-5 < np.abs(found - exact).max() / exact.std() < 0.2


@pytest.mark.parametrize(
    ("architecture", "features", "saturates"),
    [
        ("x86_64", ("avx2",), True),
        ("x86_64", ("avx2", "avx512f"), True),
        ("x86_64", ("avx2", "avx_vnni"), False),
        ("x86_64", ("avx2", "avx512_vnni"), False),
        ("AMD64", (), True),
        ("aarch64", ("asimd",), False),
    ],
)
def test_a_cpu_whose_products_saturate_is_recognized(
    architecture: str, features: tuple[str, ...], saturates: bool
) -> None:
    machine = Machine(cpu="x", architecture=architecture, features=features, cores=2)
    assert products_saturate(machine) is saturates


def test_such_a_cpu_gets_the_engines_own_switch(
    seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    entries: list[tuple[str, str]] = []

    class Watched(onnxruntime.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries.append((key, value))
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Watched)
    for saturates in (False, True):
        monkeypatch.setattr(ort, "products_saturate", lambda _machine, s=saturates: s)
        open_backend(seeded_bundle).close()
        assert (("session.x64quantprecision", "1") in entries) is saturates
