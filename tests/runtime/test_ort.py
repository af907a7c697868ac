"""What every backend promises; ONNX Runtime is the first."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.bundle import Bundle
from edgeseg.errors import BackendError
from edgeseg.runtime.backend import Backend, open_backend
from edgeseg.runtime.backends.ort import OrtBackend


@pytest.fixture
def backend(seeded_bundle: Bundle) -> Backend:
    return open_backend(seeded_bundle)


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


def test_the_number_of_threads_does_not_change_the_mask(seeded_bundle: Bundle) -> None:
    one, two = (open_backend(seeded_bundle, threads=n).infer(frame()) for n in (1, 2))
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


def test_the_name_has_the_version(backend: Backend) -> None:
    import onnxruntime

    assert backend.name == f"onnxruntime {onnxruntime.__version__}"


def test_a_broken_artifact_is_refused(tmp_path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BackendError, match=r"refuses .*model\.onnx"):
        OrtBackend(tmp_path / "model.onnx")
