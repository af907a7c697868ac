"""Masks that a person can look at and a program reads as ids."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.images import read_mask, write_mask
from edgeseg.labels import get_known_labels

CAMVID = get_known_labels("camvid")


@pytest.fixture
def masks(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> Path:
    """Of one image, which lies beside them."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), draw_scene(1, 0, height=96, width=128).image)
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "images", "--masks", "masks")
    assert outcome.status == 0, outcome.err
    return tmp_path / "masks"


def test_a_mask_has_the_colors_of_its_classes_and_holds_ids(masks: Path) -> None:
    ids = read_mask(masks / "a.png")
    assert 0 < ids.max() < len(CAMVID.classes)
    with Image.open(masks / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), ids)
        shown = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(shown, np.array(CAMVID.palette, np.uint8)[ids])


def test_a_legend_lies_beside(masks: Path) -> None:
    assert sorted(path.name for path in masks.iterdir()) == ["a.png", "legend.json"]
    legend = json.loads((masks / "legend.json").read_text("utf-8"))["classes"]
    assert legend[8] == {"id": 8, "name": "Car", "color": "#400080"}
    assert [entry["name"] for entry in legend] == list(CAMVID.classes)


def test_a_legend_that_somebody_made_is_left(edgeseg, masks: Path) -> None:
    (masks / "legend.json").write_text("{}", "utf-8")
    outcome = edgeseg("run", "--source", "images", "--masks", "masks")
    assert outcome.status == 1
    assert "legend.json exists and does not say that edgeseg run wrote it" in outcome.err
    assert (masks / "legend.json").read_text("utf-8") == "{}"


def test_a_data_set_reads_them_as_ids(masks: Path) -> None:
    (item,) = open_dataset(str(masks.parent), split=None).items
    np.testing.assert_array_equal(item.read().mask, read_mask(masks / "a.png"))


@pytest.mark.parametrize("classes", [2, 256])
def test_a_palette_changes_no_id(tmp_path: Path, classes: int) -> None:
    ids = np.arange(classes, dtype=np.uint8)[None]
    write_mask(ids, tmp_path / "m.png", palette=[(7, 8, 9)] * classes)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "m.png")), ids)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), ids)


def test_more_classes_than_a_palette_holds_have_no_colors(tmp_path: Path) -> None:
    ids = np.array([[0, 299]], np.uint16)
    write_mask(ids, tmp_path / "m.png", palette=[(7, 8, 9)] * 300)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "I;16"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), ids)


def test_what_stays_of_a_longer_run_is_said(edgeseg, seeded_bundle: Bundle) -> None:
    def told(frames: int) -> list[str]:
        args = ("--source", "demo", "--frames", frames, "--masks", "m", "--save", "o/")
        outcome = edgeseg("run", seeded_bundle.folder, *args)
        assert outcome.status == 0, outcome.err
        return sorted(line for line in outcome.err.splitlines() if "earlier run" in line)

    assert told(3) == []
    (Path("m") / "map.png").write_bytes(b"somebody's own")
    assert told(1) == [
        "2 masks of an earlier run kept in m, beside the new",
        "2 overlays of an earlier run kept in o, beside the new",
    ]
