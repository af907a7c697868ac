"""Masks in the ids that a data set publishes, or that somebody's file gives; and painted ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgeseg as package
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.errors import SpecError
from edgeseg.images import write_image
from edgeseg.labels import Labels, get_known_labels
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sinks.label_ids import find_label_ids
from edgeseg.runtime.sinks.masks import MaskFiles, open_mask_sink
from edgeseg.runtime.sources import Captured

CAMVID = get_known_labels("camvid")
# Where each layout has the image and the mask of its first split, and what is not counted there.
LAYOUTS = {
    "ade20k": ("images/validation/a.jpg", "annotations/validation/a.png"),
    "camvid": ("val/a.png", "valannot/a.png"),
    "cityscapes": (
        "leftImg8bit/val/bonn/a_leftImg8bit.png",
        "gtFine/val/bonn/a_gtFine_labelIds.png",
    ),
    "cocostuff": ("images/val2017/a.jpg", "stuffthingmaps/val2017/a.png"),
}


def draw_classes(labels: Labels) -> np.ndarray:
    """A mask that shows every class."""
    return np.resize(np.arange(len(labels.classes), dtype=np.uint8), (16, 16))


def write(files: MaskFiles, labels: Labels, mask: np.ndarray) -> tuple[Path, list[str]]:
    """Write one mask as a run does; return its path, and what was said."""
    said: list[str] = []
    sink = open_mask_sink(files, Legend.of(labels), said.append)
    image = np.zeros((*mask.shape, 3), np.uint8)
    frame = Captured(index=0, name="a", time_s=0.0, at=0.0, image=image, truth=None)
    part = Segmentation(mask=mask, prepare_ms=1, infer_ms=1, mask_ms=1)
    sink.write(Result(captured=frame, segmentation=part, grab_ms=1))
    sink.finish()
    return files.folder / "a.png", said


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_data_sets_own_layout_reads_them_back(name: str, tmp_path: Path) -> None:
    labels = get_known_labels(name)
    mask = draw_classes(labels)
    path, _ = write(MaskFiles(tmp_path / "masks", label_ids=name), labels, mask)
    image, truth = (tmp_path / place for place in LAYOUTS[name])
    image.parent.mkdir(parents=True)
    truth.parent.mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(image)
    path.rename(truth)
    (item,) = open_dataset(f"{name}:{tmp_path}").items
    np.testing.assert_array_equal(item.read().mask, mask)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cityscapes", "Cityscapes: 7 (road) to 33 (bicycle)"),
        ("ade20k", "ADE20K: 1 (wall) to 150 (flag); 0 is no class"),
        ("coco", "COCO-Stuff: 0 (person) to 181 (wood); as its masks have them; category ids in "),
    ],
)
def test_a_line_says_which_ids_they_are(name: str, told: str) -> None:
    known = get_known_labels("cocostuff" if name == "coco" else name)
    assert find_label_ids(name, known).told.startswith(f"masks hold the ids of {told}")


def test_transformers_reduces_ade20k_to_the_same_class_ids(tmp_path: Path) -> None:
    from transformers import SegformerImageProcessor

    labels = get_known_labels("ade20k")
    mask = draw_classes(labels)
    path, _ = write(MaskFiles(tmp_path, label_ids="ade20k"), labels, mask)
    processor = SegformerImageProcessor(do_reduce_labels=True, do_resize=False)
    with Image.open(path) as stored:
        found = processor.preprocess(
            Image.new("RGB", stored.size),
            segmentation_maps=np.array(stored),
            return_tensors="np",
        )
    np.testing.assert_array_equal(found["labels"][0], mask)


def test_a_run_writes_them_and_a_legend(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    write_image(draw_scene(1, 0, height=96, width=128).image, tmp_path / "a.png")
    ids = {name: 3 * index for index, name in enumerate(CAMVID.classes)} | {"Car": 1000}
    (tmp_path / "ids.json").write_text(json.dumps(ids), "utf-8")
    run = ("run", seeded_bundle.folder, "--source", "a.png", "--masks")
    outcome = edgeseg(*run, "own", "--label-ids", "ids.json")
    assert outcome.status == 0, outcome.err
    assert "masks hold the ids of ids.json: 0 (Sky) to 1000 (Car)" in outcome.err
    assert edgeseg(*run, "plain").status == 0
    legend = json.loads((tmp_path / "own" / "legend.json").read_text("utf-8"))
    assert legend["label_ids"] == "ids.json"
    assert legend["classes"][8] == {"id": 1000, "name": "Car", "color": "#400080"}
    assert [entry["id"] for entry in legend["classes"]] == list(ids.values())
    own, plain = (np.array(Image.open(tmp_path / name / "a.png")) for name in ("own", "plain"))
    assert own.dtype == np.uint16  # an id is above 255
    np.testing.assert_array_equal(own, np.array(list(ids.values()), np.uint16)[plain])


def test_painted_masks_are_the_colors_that_pillow_shows(
    seeded_bundle: Bundle, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    write_image(draw_scene(1, 0, height=96, width=128).image, image)
    for files in (MaskFiles(tmp_path / "ids"), MaskFiles(tmp_path / "colors", painted=True)):
        package.run(seeded_bundle.folder, source=image, masks=files, say=lambda _: None)
    with Image.open(tmp_path / "colors" / "a.png") as painted:
        assert painted.mode == "RGB"
        found = np.array(painted)
    with Image.open(tmp_path / "ids" / "a.png") as ids:
        np.testing.assert_array_equal(found, np.array(ids.convert("RGB")))
    assert json.loads((tmp_path / "colors" / "legend.json").read_text("utf-8"))["painted"] is True


def test_a_data_set_reads_painted_masks_by_the_palette(tmp_path: Path) -> None:
    mask = draw_classes(CAMVID)
    write(MaskFiles(tmp_path / "masks", painted=True), CAMVID, mask)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "images" / "a.png")
    (tmp_path / "dataset.json").write_text('{"palette": "camvid"}', "utf-8")
    (item,) = open_dataset(tmp_path).items
    np.testing.assert_array_equal(item.read().mask, mask)


THREE = Labels(classes=("Road", "traffic light", "2"), palette=((1, 1, 1), (2, 2, 2), (1, 1, 1)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"road": 7, "TrafficLight": 300, "2": 0}'),
        ("a.json", '{"0": 7, "1": 300, "2": 0, "sky": 5}'),
        ("a.csv", "name,id\nroad,7\n traffic light , 300\n2,0\n"),
        ("a.txt", '0,7\n"Traffic Light",300\n\n2,0\n'),
    ],
)
def test_a_file_gives_ids_by_name_or_number(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert find_label_ids(str(tmp_path / name), THREE).ids == (7, 300, 0)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", '{"road": 7}', "has no id for 2 of the model's 3 classes: traffic light, 2;"),
        ("a.json", '{"road": 7, "Road": 8}', "gives 'Road' two ids, 7 and 8"),
        ("a.json", '{"road": 70000}', "gives 'road' the id 70000; an id is a whole number of 0"),
        ("a.json", '{"road": true}', "gives 'road' the id True"),
        ("a.json", "[7, 8]", "is not a JSON object of ids"),
        ("a.json", "{", "is not JSON"),
        ("a.txt", "name,id\nroad 7\n", "has the line 'road 7'; write name,id"),
        ("a.txt", "road\ncar\n", "has the line 'road'; write name,id"),
    ],
)
def test_a_file_that_gives_no_ids_is_refused(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(SpecError, match="--label-ids") as refused:
        find_label_ids(str(tmp_path / name), THREE)
    assert told in str(refused.value)


def test_a_model_of_other_classes_is_refused_before_anything_is_opened(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    run = ("run", seeded_bundle.folder, "--source", "absent.png", "--masks", "m")
    outcome = edgeseg(*run, "--label-ids", "cityscapes")
    assert outcome.status == 1
    assert (
        "--label-ids cityscapes has no id for 5 of the model's 11 classes: Pavement, Tree, "
        "SignSymbol, Pedestrian, Bicyclist; give a JSON file"
    ) in outcome.err
    outcome = edgeseg(*run, "--label-ids", "citiscapes")
    assert "citiscapes is neither a file (No such file or directory) nor one of" in outcome.err
    assert not (tmp_path / "m").exists()


def test_wrong_usage_is_named(edgeseg, seeded_bundle: Bundle) -> None:
    run = ("run", seeded_bundle.folder, "--source", "demo")
    outcome = edgeseg(*run, "--label-ids", "coco")
    assert (outcome.status, "add --masks FOLDER" in outcome.err) == (2, True)
    both = edgeseg(*run, "--masks", "m", "--label-ids", "coco", "--masks-palette")
    assert both.status == 2
    assert "--label-ids writes ids and --masks-palette colors; leave one of them out" in both.err


def test_classes_of_one_color_are_not_painted(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'Road' and '2' have the same color, #010101"):
        open_mask_sink(MaskFiles(tmp_path, painted=True), Legend.of(THREE), print)
