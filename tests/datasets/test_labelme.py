"""labelme's files give the counts of the plain form, and the masks that labelme itself draws."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forms import count, count_plain
from guide import is_in_the_guide
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from shape_writers import describe_in_labelme, write_labelme

from edgeseg.datasets import match_classes, open_dataset
from edgeseg.errors import DatasetError, SourceError
from edgeseg.labels import parse_labels

SIZE = (24, 32)


def write(root: Path, shapes: list[dict[str, Any]], labels: str | None = "road\ncar") -> Path:
    root.mkdir(exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(root / "a.png")
    (root / "a.json").write_text(json.dumps(describe_in_labelme(shapes, "a.png", SIZE)))
    if labels is not None:
        (root / "labels.txt").write_text(labels)
    return root


def draw(kind: str | None, xy: list[tuple[float, float]]) -> np.ndarray:
    """What labelme 4 to 7 draws (labelme/utils/shape.py): Pillow's calls, spelled out."""
    image = Image.fromarray(np.zeros(SIZE, np.uint8))
    pen = ImageDraw.Draw(image)
    if kind == "circle":
        (x, y), (px, py) = xy
        r = math.sqrt((x - px) ** 2 + (y - py) ** 2)
        pen.ellipse([x - r, y - r, x + r, y + r], outline=1, fill=1)
    elif kind == "rectangle":
        (x1, x2), (y1, y2) = (sorted(along) for along in zip(*xy, strict=True))
        pen.rectangle([(x1, y1), (x2, y2)], outline=1, fill=1)
    elif kind in {"line", "linestrip"}:
        pen.line(xy, fill=1, width=10)
    elif kind == "point":
        ((x, y),) = xy
        pen.ellipse([x - 5, y - 5, x + 5, y + 5], outline=1, fill=1)
    else:
        pen.polygon(xy, outline=1, fill=1)
    return np.asarray(image) != 0


POINT = st.tuples(*(st.floats(-4, 36).map(lambda v: round(v, 2)) for _ in "xy"))


def list_points(least: int, most: int) -> st.SearchStrategy:
    return st.lists(POINT, min_size=least, max_size=most)


SHAPES = st.one_of(
    st.tuples(st.sampled_from([None, "polygon"]), list_points(3, 8)),
    st.tuples(st.just("oriented_rectangle"), list_points(4, 4)),
    st.tuples(st.sampled_from(["circle", "rectangle", "line"]), list_points(2, 2)),
    st.tuples(st.just("linestrip"), list_points(2, 5)),
    st.tuples(st.just("point"), list_points(1, 1)),
)


@settings(deadline=None, max_examples=60)
@given(shapes=st.lists(st.tuples(st.sampled_from(["road", "car"]), SHAPES), max_size=4))
def test_shapes_are_those_of_labelme(
    shapes: list, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Later ones over earlier ones; the rest is the class that was added for it."""
    expected = np.full(SIZE, 2, np.uint8)
    for label, (kind, points) in shapes:
        expected[draw(kind, points)] = ["road", "car"].index(label)
    described = [
        {"label": label, "points": points} | ({} if kind is None else {"shape_type": kind})
        for label, (kind, points) in shapes
    ]
    root = write(tmp_path_factory.mktemp("data"), described)
    np.testing.assert_array_equal(open_dataset(root).items[0].read().mask, expected)


TRIANGLE = {"label": "Road", "points": [[2, 2], [20, 2], [2, 20]], "shape_type": "polygon"}


def test_files_in_one_folder(tmp_path: Path) -> None:
    write_labelme(tmp_path, "val")
    found = open_dataset(tmp_path / "val")
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert "read as labelme's files, recognized by NAME.json of labelme" in found.notes[0]
    assert any("a labels.txt saves reading them all" in note for note in found.notes)


def test_labels_give_the_order_of_ids(tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE], "__ignore__\n_background_\nroad\n")
    data = open_dataset(root)
    assert data.labels is not None
    assert data.labels.classes == ("_background_", "road")
    assert np.unique(data.items[0].read().mask).tolist() == [0, 1]
    unnamed = parse_labels({"classes": ["class 0", "class 1"]}, origin="test")
    matched, _ = match_classes(data, unnamed)
    assert np.unique(matched.items[0].read().mask).tolist() == [0, 1]


def test_pixels_of_no_shape_are_the_models_background(tmp_path: Path) -> None:
    labels = parse_labels({"classes": ["road", "background"]}, origin="test")
    matched, _ = match_classes(open_dataset(write(tmp_path, [TRIANGLE])), labels)
    assert np.unique(matched.items[0].read().mask).tolist() == [0, 1]


def test_a_label_that_is_no_class_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE | {"label": "lake"}])
    with pytest.raises(DatasetError, match="has a shape of 'lake', which is no class of") as caught:
        open_dataset(root).items[0].read()
    assert is_in_the_guide(str(caught.value))


def test_another_image_is_found_by_its_name(tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE])
    content = describe_in_labelme([TRIANGLE], "..\\pictures\\b.png", SIZE)
    (root / "b1.json").write_text(json.dumps(content))
    (left,) = open_dataset(root).unpaired
    assert f"{root / 'b1.json'} names ..\\pictures\\b.png, and there is no {root / 'b.png'}" in (
        left.reason
    )
    Image.new("RGB", SIZE[::-1]).save(root / "b.png")
    found = open_dataset(root)
    assert [item.name for item in found.items] == ["a", "b"]
    assert not found.unpaired
    (root / "package.json").write_text("{}")
    assert not open_dataset(root).unpaired


def test_other_json_may_lie_beside(tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE])
    for number in range(9):
        (root / f"0{number}.json").write_text("[]")
    assert open_dataset(root).layout == "labelme"


def test_an_image_without_a_file_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE])
    Image.new("RGB", SIZE[::-1]).save(root / "c.png")
    (left,) = open_dataset(root).unpaired
    assert f"{root / 'c.png'} has no mask; there is no {root / 'c.json'}" in left.reason


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"points": [[1, 1], [2, 2]]}, "is a polygon of 2 points, which has no known area"),
        ({"shape_type": "spline"}, "is a spline of 3 points, which has no known area"),
        ({"points": []}, "is a polygon of 0 points, which has no known area"),
        ({"points": [[1e9, 1], [2, 2], [3, 3]]}, "has a point far outside the image of 24x32"),
        ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "x"}, "PNG cannot be read"),
        ({"shape_type": "mask", "points": [[0, 0], [40, 1]]}, "reaches outside the image"),
        ({"shape_type": "mask"}, "is a mask of 3 points, and it has two corners"),
    ],
)
def test_shapes_that_cannot_be_right(shape: dict, says: str, tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE | shape])
    with pytest.raises(DatasetError, match=says) as caught:
        open_dataset(root).items[0].read()
    assert is_in_the_guide(str(caught.value))


def test_a_mask_of_another_size_than_its_box(tmp_path: Path) -> None:
    write_labelme(tmp_path, "val")
    path = tmp_path / "val" / "val_street0.json"
    content = json.loads(path.read_text())
    content["shapes"][0]["points"][1][0] -= 1
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="PNG does not have the size of its box"):
        open_dataset(tmp_path).items[0].read()


def test_a_damaged_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_labelme(tmp_path, "val")
    (tmp_path / "val" / "val_street2.json").write_text('{"shapes": 3}')
    with pytest.raises(SourceError, match="street2.json is not labelme's JSON: ") as caught:
        open_dataset(tmp_path).items[2].read()
    assert is_in_the_guide(str(caught.value))


def test_a_file_without_the_image_size(tmp_path: Path) -> None:
    root = write(tmp_path, [TRIANGLE])
    text = (root / "a.json").read_text().replace(f'"imageHeight": {SIZE[0]}', '"imageHeight": null')
    (root / "a.json").write_text(text)
    with pytest.raises(DatasetError, match="lacks the image's height and width") as caught:
        open_dataset(root).items[0].read()
    assert is_in_the_guide(str(caught.value))


def test_a_folder_without_such_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no JSON of labelme beside its images"):
        open_dataset(f"labelme:{tmp_path}")
