"""COCO's JSON gives the counts of the plain form, and the masks that pycocotools draws."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from forms import VOID, count, count_plain
from guide import is_in_the_guide
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools.coco import COCO
from shape_writers import compress, list_runs, write_coco

from edgeseg.data_rules import Rules
from edgeseg.datasets import Dataset, match_classes, open_dataset
from edgeseg.datasets.truth.runs import fill_runs, unpack_counts
from edgeseg.datasheet.classes import find_own_classes
from edgeseg.errors import DatasetError, MissingPackageError, SourceError
from edgeseg.labels import Labels, parse_labels

SIZE = (24, 32)
CATEGORIES = [{"id": 1, "name": "road"}, {"id": 7, "name": "car"}]
THREE = parse_labels({"classes": ["car", "road", "background"]}, origin="test")


@pytest.mark.parametrize(
    ("file", "images", "split"),
    [
        ("valid/_annotations.coco.json", "valid", "val"),
        ("_annotations.coco.json", ".", None),
        ("annotations/instances_val2017.json", "val2017", "val"),
        ("annotations/instances_val2017.json", "images/val2017", "val2017"),
        ("annotations/instances_default.json", "images/default", None),
        ("annotations/instances_default.json", "images", None),
        ("annotations.json", "images", None),
    ],
)
def test_where_the_files_lie(file: str, images: str, split: str | None, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_coco(root / file, root / images, compress)
    found = open_dataset(root, split=split)
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert found.layout == "coco"
    assert f"{root} is read as COCO's JSON, recognized by _annotations.coco.json" in found.notes[0]
    assert "the category 'street' only stands above others, and is left out" in found.notes
    assert len(open_dataset(f"coco:{root}", split=split)) == len(found)


def test_run_lengths_as_a_list(tmp_path: Path) -> None:
    write_coco(tmp_path / "d" / "annotations.json", tmp_path / "d" / "images", list_runs)
    np.testing.assert_array_equal(
        count(open_dataset(tmp_path / "d")), count_plain(tmp_path / "plain")
    )


def write(root: Path, annotations: list[dict], categories: list[dict] = CATEGORIES) -> Path:
    """One image, a.png, and its shapes."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(root / "images" / "a.png")
    image = {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}
    numbered = [
        {"id": place + 1, "image_id": 1, "iscrowd": 0} | one
        for place, one in enumerate(annotations)
    ]
    content = {"images": [image], "annotations": numbered, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def read(root: Path, labels: Labels = THREE) -> np.ndarray:
    matched, _ = match_classes(open_dataset(root), labels)
    return matched.items[0].read().mask


POINTS = st.lists(st.floats(-4, 36).map(lambda v: round(v, 2)), min_size=6, max_size=16)
POLYGONS = st.lists(POINTS.map(lambda one: one[: len(one) // 2 * 2]), min_size=1, max_size=3)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools' own, with NumPy 2
@settings(deadline=None, max_examples=40)
@given(shapes=st.lists(st.tuples(POLYGONS, st.sampled_from([1, 7])), min_size=1, max_size=4))
def test_polygons_are_those_of_pycocotools(
    shapes: list, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each in the order of the file, later ones over earlier ones; the rest is background."""
    root = tmp_path_factory.mktemp("data")
    write(root, [{"category_id": own, "segmentation": some} for some, own in shapes])
    theirs = COCO(str(root / "annotations.json"))
    expected = np.full(SIZE, 2, np.uint8)
    for one in theirs.loadAnns(theirs.getAnnIds([1])):
        expected[theirs.annToMask(one) == 1] = {1: 1, 7: 0}[one["category_id"]]
    np.testing.assert_array_equal(read(root), expected)


@settings(deadline=None, max_examples=60)
@given(mask=hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_compressed_run_lengths_are_those_of_pycocotools(mask: np.ndarray) -> None:
    counts = unpack_counts(compress(mask)["counts"])
    found = fill_runs(counts, mask.size).reshape(mask.shape[::-1]).T
    np.testing.assert_array_equal(found, mask)


def test_long_runs_are_those_of_pycocotools() -> None:
    mask = np.zeros((700, 900), bool)
    mask[3:, 400:402] = True
    mask[600:, 899] = True
    mask[1, 1] = True
    counts = unpack_counts(compress(mask)["counts"])
    np.testing.assert_array_equal(fill_runs(counts, mask.size).reshape(900, 700).T, mask)


def cover(box: tuple[int, int, int, int]) -> np.ndarray:
    top, bottom, left, right = box
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_crowd_lies_under_what_is_drawn_one_by_one(tmp_path: Path) -> None:
    one, crowd = cover((0, 8, 0, 8)), cover((0, 24, 0, 16))
    shapes = [
        {"category_id": 1, "segmentation": compress(one)},
        {"category_id": 7, "segmentation": list_runs(crowd), "iscrowd": 1},
    ]
    expected = np.where(one, 1, np.where(crowd, 0, 2))
    np.testing.assert_array_equal(read(write(tmp_path, shapes)), expected)


ROAD = [{"category_id": 1, "segmentation": compress(cover((0, 8, 0, 32)))}]


@pytest.mark.parametrize(
    ("classes", "rest", "says"),
    [
        (["road", "background"], 1, "pixels of no shape are counted as the class 'background'"),
        (["Other", "road"], 0, "pixels of no shape are counted as the class 'Other'"),
        (["car", "road"], 255, "pixels of no shape are not counted: the model has no class"),
    ],
)
def test_what_pixels_of_no_shape_are(
    classes: list[str], rest: int, says: str, tmp_path: Path
) -> None:
    labels = parse_labels({"classes": classes}, origin="test")
    data = open_dataset(write(tmp_path, ROAD))
    matched, differences = match_classes(data, labels)
    assert np.unique(matched.items[0].read().mask[8:]).tolist() == [rest]
    assert [note for note in matched.notes if note.startswith(says)]
    assert "background" not in differences.data_only


def test_a_look_says_that_the_model_decides_on_pixels_of_no_shape(tmp_path: Path) -> None:
    own = find_own_classes(open_dataset(write(tmp_path, ROAD)))
    (told,) = (note for note in own.notes if "no shape" in note)
    assert told == (
        "pixels of no shape are shown as the class 'background'; they are counted if the model has "
        "a class background, _background_ or other"
    )
    merged = open_dataset(write(tmp_path, ROAD), rules=Rules(merge={"car": ("background",)}))
    assert not [note for note in find_own_classes(merged).notes if "no shape" in note]


def test_the_data_set_may_name_the_class_of_no_shape(tmp_path: Path) -> None:
    categories = [*CATEGORIES, {"id": 9, "name": "Other"}]
    data = open_dataset(write(tmp_path, ROAD, categories))
    assert data.labels is not None
    assert data.labels.classes == ("road", "car", "Other")
    assert data.items[0].read().mask[20, 20] == 2


def test_merge_says_what_pixels_of_no_shape_are(tmp_path: Path) -> None:
    labels = parse_labels({"classes": ["car", "road"]}, origin="test")
    rules = Rules(merge={"car": ("background",)})
    matched, _ = match_classes(open_dataset(write(tmp_path, ROAD), rules=rules), labels)
    assert matched.items[0].read().mask[20, 20] == 0
    assert not [note for note in matched.notes if note.startswith("pixels of no shape")]


UNNAMED = Labels(classes=("class 0", "class 1"), palette=((0, 0, 0), (9, 9, 9)))


def test_a_model_without_names_takes_the_order_of_dataset_json(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='list the model\'s classes in its order as "classes"'):
        read(write(tmp_path, ROAD), UNNAMED)
    (tmp_path / "dataset.json").write_text('{"classes": ["car", "road"]}')
    mask = read(tmp_path, UNNAMED)
    assert (mask[0, 0], mask[20, 20]) == (1, VOID)


def test_boxes_without_a_shape_are_told(tmp_path: Path) -> None:
    boxes = [{"category_id": 7, "bbox": [1, 2, 3, 4], "segmentation": []}]
    found = open_dataset(write(tmp_path / "some", ROAD + boxes))
    told = "1 annotation of 2 with a box and no shape, which are not drawn"
    assert f"{tmp_path / 'some' / 'annotations.json'}: {told}" in found.notes
    with pytest.raises(DatasetError, match="holds boxes and no shapes, as for detection"):
        open_dataset(write(tmp_path / "all", boxes))


def test_images_and_entries_without_the_other_are_named(tmp_path: Path) -> None:
    root = write(tmp_path, ROAD)
    (root / "images" / "a.png").rename(root / "images" / "b.png")
    with pytest.raises(DatasetError, match="names a.png, and there is no .*a.png"):
        open_dataset(root)
    Image.new("RGB", SIZE[::-1]).save(root / "images" / "a.png")
    (left,) = open_dataset(root).unpaired
    assert left.reason.startswith(str(root / "images" / "b.png is not named by"))
    assert is_in_the_guide(left.reason)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\\..\\..\\b", "C:\\b", "", "a\0b"]
)
def test_no_name_leads_outside(name: str, tmp_path: Path) -> None:
    root = write(tmp_path, ROAD)
    content = json.loads((root / "annotations.json").read_text())
    content["images"][0]["file_name"] = name
    (root / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="and edgeseg reads only images inside") as caught:
        open_dataset(root)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("area", "says"),
    [
        ([[1e9, 0, 0, 1e9, 5, 5]], "has a point far outside the image of 24x32"),
        ([[1, 2, 3, 4, 5, 6, 7]], "has a polygon of 7 numbers, and a point has two"),
        ([[0, 0, 500, 500] * 99], "has an outline of "),
        ({"size": [24, 32], "counts": "999"}, "has runs of 27 pixels, and there are 768"),
        ({"size": [24, 32], "counts": "99o"}, "has a damaged text of run lengths"),
        ({"size": [24, 32], "counts": "é"}, "has a damaged text of run lengths"),
        ({"size": [24, 32], "counts": [10**12]}, "has run lengths that no mask has"),
        ({"size": [24, 32], "counts": [-1, 769]}, "has run lengths that no mask has"),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "is made for an image of 1000000x1000000"),
        ({"polygon": 1}, "has a damaged text of run lengths"),
        ("text", "cannot be read: "),
    ],
)  # fmt: skip
def test_shapes_that_cannot_be_right(area: object, says: str, tmp_path: Path) -> None:
    root = write(tmp_path, [{"category_id": 1, "segmentation": area}])
    with pytest.raises(DatasetError, match=says) as caught:
        open_dataset(root).items[0].read()
    assert is_in_the_guide(str(caught.value))


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"annotations": [{"image_id": 1, "category_id": 5, "segmentation": [[1]]}]},
         DatasetError, "has a shape of the category 5, which it does not list"),
        ({"annotations": [{"image_id": 4, "category_id": 1, "segmentation": [[1]]}]},
         DatasetError, "has a shape of the image 4, which it does not list"),
        ({"images": [{"id": 1, "file_name": "a.png"}]},
         SourceError, "is not COCO's JSON: .*height"),
        ({"categories": 3}, SourceError, "is not COCO's JSON: Expected `array`"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_right(
    change: dict, kind: type[Exception], says: str, tmp_path: Path
) -> None:
    root = write(tmp_path, ROAD)
    content = json.loads((root / "annotations.json").read_text()) | change
    (root / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(kind, match=says):
        open_dataset(root)


@pytest.mark.parametrize("text", ['{"images": [', "[" * 100_000, '{"a": {"images": []}}', ""])
def test_other_json_is_not_taken_for_cocos(text: str, tmp_path: Path) -> None:
    root = write(tmp_path, ROAD)
    (root / "annotations.json").write_text(text)
    with pytest.raises((DatasetError, SourceError)):
        open_dataset(root)
    with pytest.raises(SourceError, match="is not COCO's JSON"):
        open_dataset(f"coco:{root}")


def test_the_single_file_is_looked_into(tmp_path: Path) -> None:
    """A list of annotations of another tool has the same name."""
    root = write(tmp_path, ROAD)
    (root / "annotations.json").write_text('[{"image": "a.png", "annotations": []}]')
    with pytest.raises(DatasetError, match="has no layout that edgeseg knows"):
        open_dataset(root)


def test_an_image_of_a_million_pixels_a_side_takes_no_memory(tmp_path: Path) -> None:
    root = write(tmp_path, ROAD)
    text = (root / "annotations.json").read_text().replace('"height": 24', '"height": 1000000')
    (root / "annotations.json").write_text(text.replace('"width": 32', '"width": 1000000'))
    with pytest.raises(SourceError, match="the image a.png has 1000000x1000000 pixels"):
        open_dataset(root).items[0].read()


def test_the_hash_changes_with_a_shape_alone(tmp_path: Path) -> None:
    def hash_both(root: Path) -> tuple[str, str]:
        data = open_dataset(root)
        return data.items[0].sha256, data.items[0].truth.fingerprint

    one = hash_both(write(tmp_path, ROAD))
    assert hash_both(write(tmp_path, ROAD)) == one
    moved = [{"category_id": 1, "segmentation": compress(cover((0, 9, 0, 32)))}]
    assert not set(hash_both(write(tmp_path, moved))) & set(one)


def test_items_travel_between_processes(tmp_path: Path) -> None:
    data: Dataset = open_dataset(write(tmp_path, ROAD))
    (item,) = pickle.loads(pickle.dumps(data.items))
    np.testing.assert_array_equal(item.read().mask, data.items[0].read().mask)


@pytest.mark.parametrize("rules", [Rules(reduce_labels=True), Rules(mask_suffix="_x")])
def test_rules_of_masks_are_refused(rules: Rules, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="(reduce_labels|mask_suffix) is for masks; leave it"):
        open_dataset(write(tmp_path, ROAD), rules=rules)


def test_the_folder_of_images_may_have_another_name(tmp_path: Path) -> None:
    root = write(tmp_path, ROAD)
    (root / "images").rename(root / "photos")
    assert len(open_dataset(root, rules=Rules(images_dir="photos"))) == 1
    (root / "dataset.json").write_text('{"images_dir": "photos"}')
    found = open_dataset(root)
    assert (found.layout, len(found)) == ("coco", 1)
    with pytest.raises(DatasetError, match="has no photos/ and truth/"):
        open_dataset(root, rules=Rules(masks_dir="truth"))


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, ROAD)
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, package=None: None if name == "pycocotools" else find(name, package),
    )
    with pytest.raises(MissingPackageError, match=r"pip install 'edgeseg\[coco\]' -c constraints"):
        open_dataset(root)
