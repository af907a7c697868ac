"""Ground truth of the calibration images in a training: read in the model's ids, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_streets import write_streets
from search_limits import export

from edgeseg.datasets import open_dataset
from edgeseg.demo import DEMO, draw_scene
from edgeseg.deploy import recover as recover_module
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest, Recover
from edgeseg.errors import CalibrationError, ExportError
from edgeseg.images import read_mask
from edgeseg.images.stills import write_image
from edgeseg.labels import get_known_labels
from edgeseg.recovery.example import Example, Read


def test_labels_of_the_calibration_images_take_part(
    request_: ExportRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the model's class ids, at the network's size, whatever ids the data set has."""
    streets = write_streets(tmp_path / "streets")
    taught: list[Example] = []

    def look(_source: Path, _teacher: Path, _target: Path, images: list[Read], **_: object) -> None:
        taught.extend(read() for read in images)
        raise ExportError("seen enough")

    monkeypatch.setattr("edgeseg.recovery.recover.recover", look)
    monkeypatch.setattr(recover_module, "_WORTH", -100.0)
    classes = list(get_known_labels("camvid").classes)
    (streets / "dataset.json").write_text(json.dumps({"classes": classes[::-1]}))
    _, lines = export(
        replace(
            request_,
            weights=DEMO,
            size=(48, 64),
            dataset=open_dataset(streets, split="test"),
            calibration=str(streets),
            recover=Recover(seconds=1.0, labels=True),
        )
    )
    assert "ground truth of 8 of 8 calibration images takes part in --recover" in lines
    assert len(taught) == 8
    for example, path in zip(taught, sorted((streets / "train" / "masks").iterdir()), strict=True):
        assert example.frame.shape == (1, 48, 64, 3)
        assert example.truth is not None
        theirs = read_mask(path)[1::2, 1::2].astype(int)
        np.testing.assert_array_equal(example.truth, np.where(theirs < 11, 10 - theirs, 255))


def test_without_ground_truth_labels_cannot_take_part(
    request_: ExportRequest, tmp_path: Path
) -> None:
    for seed in range(8):
        write_image(draw_scene(seed, 0, height=96, width=128).image, tmp_path / f"{seed}.png")
    wanted = replace(request_, calibration=str(tmp_path), recover=Recover(seconds=1.0, labels=True))
    with pytest.raises(CalibrationError, match="--recover-labels needs ground truth of the calib"):
        export_bundle(wanted)
    assert not wanted.folder.exists()


@pytest.mark.parametrize("option", [("--recover-images", 9), ("--recover-labels",)])
def test_what_says_how_to_train_needs_a_training(edgeseg, option: tuple[object, ...]) -> None:
    outcome = edgeseg("export", "--model", "b0", *option)
    assert outcome.status == 2
    assert f"{option[0]} needs --recover; add --recover MINUTES" in outcome.err
