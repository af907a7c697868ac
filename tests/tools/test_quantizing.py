"""What the benchmarks of INT8 share calibrates a checkpoint and measures it as an export does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.datasets import open_dataset
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.quantize.recipes import RECIPES

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_checkpoint_is_calibrated_and_its_int8_measured(
    checkpoint_folder: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from quantizing import calibrate

    checkpoint = read_checkpoint(str(checkpoint_folder), size=(64, 96))
    dataset = open_dataset(street, split="test")
    found = calibrate(checkpoint, dataset, source=str(street), images=2, folder=tmp_path)
    measured = found.measure(RECIPES["int8-linear"], found.ranges)
    assert (found.images, measured.images) == (2, len(dataset))
    assert 0 < measured.pixel_agreement <= 100
