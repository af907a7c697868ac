"""Masks that `edgeseg run` has written are read again, by the legend beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from forms import draw_scenes, save_image

from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.runtime.segmenter import Segmenter


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "set" / "images"
    folder.mkdir(parents=True)
    for scene in draw_scenes():
        save_image(scene, folder / f"{scene.name}.png")
    return folder


@pytest.mark.parametrize("painted", [False, True])
def test_masks_of_a_run(edgeseg, seeded_bundle: Bundle, images: Path, painted: bool) -> None:
    how = ("--masks-palette",) if painted else ()
    masks = images.parent / "masks"
    done = edgeseg("run", seeded_bundle.folder, "--source", images, "--masks", masks, *how)
    assert done.status == 0, done.err
    dataset = open_dataset(str(images.parent))
    labels = seeded_bundle.manifest.labels
    assert dataset.labels is not None
    assert dataset.labels.classes == labels.classes
    assert dataset.labels.palette == labels.palette
    assert any(f"of the classes: {masks / 'legend.json'}" in note for note in dataset.notes)
    with Segmenter(seeded_bundle) as segmenter:
        for item in dataset.items:
            sample = item.read()
            np.testing.assert_array_equal(sample.mask, segmenter.segment(sample.image).mask)


def test_masks_of_other_ids_are_told_and_named(
    edgeseg, seeded_bundle: Bundle, images: Path
) -> None:
    count = len(seeded_bundle.manifest.labels.classes)
    Path("ids.json").write_text(json.dumps({str(own): 3 * own + 1 for own in range(count)}))
    masks = images.parent / "masks"
    how = ("--masks", masks, "--label-ids", "ids.json")
    assert edgeseg("run", seeded_bundle.folder, "--source", images, *how).status == 0
    (note,) = [one for one in open_dataset(str(images.parent)).notes if "legend.json" in one]
    assert "says that the masks hold other ids than 0, 1, 2, ...: give dataset.json a list" in note
    named = [f"unused {own}" for own in range(3 * count)]
    named[1::3] = seeded_bundle.manifest.labels.classes
    (images.parent / "dataset.json").write_text(json.dumps({"classes": named}))
    done = edgeseg("verify", seeded_bundle.folder, "--data", images.parent, "--json")
    assert done.json["miou"] == pytest.approx(100), done.err
