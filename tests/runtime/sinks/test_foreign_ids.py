"""A class id that no class has, in a mask or in a source's truth, ends no run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeseg.accuracy.metrics import class_shares, confusion
from edgeseg.errors import BackendError
from edgeseg.labels import get_known_labels
from edgeseg.runtime.about import About
from edgeseg.runtime.backends.checked import Checked
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sinks.masks import MaskFiles
from edgeseg.runtime.sinks.outputs import Outputs, open_outputs
from edgeseg.runtime.sinks.truth import TruthMeter
from edgeseg.runtime.sources import Captured

LABELS = get_known_labels("camvid")
SIZE = (48, 64)
BEYOND = np.array([[0, 0, 1, 12]], np.uint8)
ABOUT = About(
    bundle="b", engine="e", precision="p", source="s", legend=Legend.of(LABELS), fps=10, live=False
)  # fmt: skip


def result(ids: np.ndarray, truth: np.ndarray | None = None) -> Result:
    image = np.zeros((*ids.shape, 3), np.uint8)
    frame = Captured(index=0, name="000000", time_s=0.0, at=0.0, image=image, truth=truth)
    part = Segmentation(mask=ids, prepare_ms=1, infer_ms=2, mask_ms=3)
    return Result(captured=frame, segmentation=part, grab_ms=4)


def test_shares_of_a_mask_with_an_id_beyond_the_classes() -> None:
    assert class_shares(BEYOND, LABELS.classes) == {"Sky": 0.5, "Building": 0.25, "id 12": 0.25}


def test_every_output_takes_an_id_beyond_the_classes(tmp_path: Path) -> None:
    outputs = Outputs(
        save=tmp_path / "a.mp4",
        masks=MaskFiles(tmp_path / "masks"),
        jsonl=str(tmp_path / "a.jsonl"),
    )
    ids = np.full(SIZE, 12, np.uint8)
    with open_outputs(outputs, ABOUT, say=print, end=lambda: None) as fan:
        fan.write(result(ids))
    assert fan.failed == 0
    assert json.loads((tmp_path / "a.jsonl").read_text())["shares"] == {"id 12": 1.0}


def test_a_prediction_beyond_the_classes_is_the_engines_fault() -> None:
    with pytest.raises(BackendError, match="gave the class id 12, but the model has 11 classes"):
        confusion(np.zeros_like(BEYOND), BEYOND, classes=11, ignore_index=255)


@dataclass(frozen=True)
class Answering:
    """An engine that gives one answer, whatever it is shown."""

    answer: np.ndarray
    name: str = "planted 1.0"
    reuses_output: bool = False
    input_shape: tuple[int, ...] = (1, 1, 4, 3)

    def infer(self, _frame: np.ndarray, /) -> np.ndarray:
        return self.answer

    def close(self) -> None: ...


@pytest.mark.parametrize("logits_shape", [(1, 11, 1, 1), None])
@pytest.mark.parametrize("ids", [[0, -3, 5, 1], [0, -3, 5, 12]])
def test_a_negative_class_id_is_the_one_that_is_told(
    ids: list[int], logits_shape: tuple[int, ...] | None
) -> None:
    engine = Checked(Answering(np.array([[ids]], np.int32)), logits_shape=logits_shape)
    with pytest.raises(BackendError, match=r"gave class id -3, where none is below 0; "):
        engine.infer(np.zeros((1, 1, 4, 3), np.uint8))


@pytest.mark.parametrize(
    "truth", [np.full(SIZE, 200, np.uint8), np.zeros((3, 3), np.uint8)], ids=["id", "size"]
)
def test_truth_that_does_not_fit_ends_the_counting_and_not_the_run(truth: np.ndarray) -> None:
    said: list[str] = []
    meter = TruthMeter(LABELS, say=said.append)
    ids = np.zeros(SIZE, np.uint8)
    meter.write(result(ids, ids))
    assert meter.miou == 100
    for one in (truth, truth, ids):
        meter.write(result(ids, one))
    assert meter.miou is None
    assert len(said) == 1
    assert said[0].startswith("no accuracy is told: frame 000000: ")
