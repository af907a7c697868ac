"""Ground truth of the calibration images in a training: read in the model's ids, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_streets import write_streets
from search_limits import export

from edgeseg.calibration.sets import choose_calibration_set, hash_content
from edgeseg.datasets import NO_RULES, Item, Rules, open_dataset
from edgeseg.demo import DEMO, draw_scene
from edgeseg.deploy import recover as recover_module
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest, Recover
from edgeseg.deploy.truths import find_truths
from edgeseg.errors import CalibrationError, DatasetError, ExportError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.images import read_image, read_mask, write_mask
from edgeseg.images.stills import write_image
from edgeseg.labels import get_known_labels
from edgeseg.progress import SILENT
from edgeseg.recovery.example import Example, Read
from edgeseg.spec import Aspect, InputSpec


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
    monkeypatch.setattr(recover_module, "WORTH", -100.0)
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
    assert "ground truth of 8 of 8 calibration images may take part in --recover" in lines
    assert len(taught) == 8
    for example, path in zip(taught, sorted((streets / "train" / "masks").iterdir()), strict=True):
        assert example.frame.shape == (1, 48, 64, 3)
        assert example.truth is not None
        theirs = read_mask(path)[1::2, 1::2].astype(int)
        np.testing.assert_array_equal(example.truth, np.where(theirs < 11, 10 - theirs, 255))


def test_beside_a_letterboxed_image_nothing_counts() -> None:
    image, truth = np.zeros((20, 40, 3), np.uint8), np.full((20, 40), 3, np.uint8)
    item = SimpleNamespace(read=lambda: SimpleNamespace(image=image, mask=truth))
    spec = InputSpec(height=64, width=64, aspect=Aspect.KEEP)
    labels = SimpleNamespace(ignore_index=255)
    job = SimpleNamespace(checkpoint=SimpleNamespace(input=spec, labels=labels))
    example = recover_module._read(None, item, job)  # type: ignore[arg-type]  # what is read
    assert example.truth is not None
    assert (example.truth[:32] == 3).all()
    assert (example.truth[32:] == 255).all()


def test_without_ground_truth_labels_cannot_take_part(
    request_: ExportRequest, tmp_path: Path
) -> None:
    for seed in range(8):
        write_image(draw_scene(seed, 0, height=96, width=128).image, tmp_path / f"{seed}.png")
    wanted = replace(request_, calibration=str(tmp_path), recover=Recover(seconds=1.0, labels=True))
    with pytest.raises(
        CalibrationError,
        match="--recover-labels finds no ground truth .* leave --recover-labels out: .* no layout",
    ):
        export_bundle(wanted)
    assert not wanted.folder.exists()


def find(
    checkpoint: Path, source: Path, *, images: Path | None = None, rules: Rules = NO_RULES
) -> dict[str, Item]:
    """The truths that a source has of its images, or of those of another folder."""
    job = SimpleNamespace(
        request=SimpleNamespace(dataset=None, rules=rules),
        checkpoint=read_checkpoint(str(checkpoint)),
        progress=SILENT,
    )
    chosen = replace(choose_calibration_set(str(images or source)), source=str(source))
    return find_truths(job, chosen)  # type: ignore[arg-type]  # the parts that are read


def test_an_image_finds_its_truth_by_its_pixels(checkpoint_folder: Path, tmp_path: Path) -> None:
    """Not by its name, which images in folders share."""
    streets = write_streets(tmp_path / "streets")
    images = tmp_path / "images"
    images.mkdir()
    for number, path in enumerate(sorted((streets / "train" / "images").iterdir())):
        other = draw_scene(50 + number, 0, height=96, width=128).image
        write_image(read_image(path) if number % 2 else other, images / path.name)
    assert len(find(checkpoint_folder, streets)) == 8
    found = find(checkpoint_folder, streets, images=images)
    assert len(found) == 4
    for hashed, item in found.items():
        assert hash_content(item.image()) == hashed


def test_a_mask_that_does_not_fit_is_refused_before_the_search(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    streets = write_streets(tmp_path / "streets")
    spoiled = sorted((streets / "train" / "masks").iterdir())[3]
    write_mask(np.zeros((10, 10), np.uint8), spoiled)
    with pytest.raises(DatasetError, match=f"{spoiled.stem}.*; or leave --recover-labels out"):
        find(checkpoint_folder, streets)


def test_rules_of_the_command_line_hold_for_labels(checkpoint_folder: Path, tmp_path: Path) -> None:
    """For the masks of any source, of which only the pixels were taken before."""
    streets = write_streets(tmp_path / "streets")
    found = find(checkpoint_folder, streets, rules=Rules(ignore_index=(2,)))
    path = min((streets / "train" / "masks").iterdir())
    (item,) = (one for one in found.values() if one.name == path.stem)
    theirs = read_mask(path)
    assert (theirs == 2).any()
    np.testing.assert_array_equal(item.read().mask >= 11, theirs == 2)


@pytest.mark.parametrize("option", [("--recover-images", 9), ("--recover-labels",)])
def test_what_says_how_to_train_needs_a_training(edgeseg, option: tuple[object, ...]) -> None:
    outcome = edgeseg("export", "--model", "b0", *option)
    assert outcome.status == 2
    assert f"{option[0]} needs --recover; add --recover MINUTES" in outcome.err


@pytest.mark.parametrize("minutes", ["-1", "0"])
def test_a_time_that_is_none_is_named_as_it_was_given(edgeseg, minutes: str) -> None:
    outcome = edgeseg("export", "--model", "b0", "--recover", minutes)
    assert outcome.status == 2
    assert f"--recover (in minutes) is a finite number above 0; got {float(minutes)}" in outcome.err
