"""The sessions that an export runs by itself fail as every backend does: in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from failing import ALWAYS, failing_model

from edgeseg.bundle.store import Bundle
from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.errors import BackendError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.reference import check_parity, run_published
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.quantize.targets.tensorrt.peaks import peaks

IMAGE = np.zeros((1, 96, 128, 3), np.uint8)


@pytest.fixture(scope="module")
def failing_graph(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("failing") / "model.onnx"
    path.write_bytes(failing_model(seeded_bundle.path("model.onnx"), "raises", below=ALWAYS))
    return path


def test_calibration_says_that_the_engine_failed(failing_graph: Path, tmp_path: Path) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(failing_graph))
    graph = tap_graph(model, find_taps(model))
    begun = resume_observation(graph, find_taps(model), tmp_path / "ranges.npz")
    with pytest.raises(BackendError, match=r"^onnxruntime failed: .+"):
        observe(graph, [lambda: IMAGE], begun)


def test_parity_says_that_the_engine_failed(failing_graph: Path, checkpoint_folder: Path) -> None:
    checkpoint = read_checkpoint(str(checkpoint_folder))
    with pytest.raises(BackendError, match=r"^onnxruntime failed: .+"):
        check_parity(
            failing_graph,
            run_published(checkpoint.model, checkpoint.input),
            [IMAGE],
            image_source="black",
        )


def test_the_search_for_peaks_says_that_the_engine_failed(failing_graph: Path) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(failing_graph))
    with pytest.raises(BackendError, match=r"^onnxruntime failed: .+"):
        peaks(model, [lambda: IMAGE])
