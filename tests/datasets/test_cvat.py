"""CVAT's exports give the counts of the plain form, and the masks that CVAT exports itself."""

from __future__ import annotations

import cmath
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from forms import LABELS, VOID, count, count_plain, draw_scenes, paint, save_image
from guide import is_in_the_guide
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco
from shape_writers import describe_in_cvat, write_cvat

from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError, SourceError

SIZE = (24, 32)
NAMES = ("road", "car")


def write(root: Path, shapes: str, more: str = "") -> Path:
    """One image, a.png, and its shapes."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(root / "images" / "a.png")
    image = f'<image id="0" name="a.png" width="{SIZE[1]}" height="{SIZE[0]}">{shapes}</image>'
    (root / "annotations.xml").write_text(describe_in_cvat([image, more], NAMES))
    return root


def read(root: Path) -> np.ndarray:
    return open_dataset(root).items[0].read().mask


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools' own, with NumPy 2
def fill(points: list[complex]) -> np.ndarray:
    """What CVAT's exporter draws: pycocotools' polygon, also of a box (datumaro, transforms)."""
    numbers = [number for point in points for number in (point.real, point.imag)]
    (runs,) = coco.frPyObjects([numbers], *SIZE)
    return coco.decode(runs) != 0


NUMBER = st.floats(-4, 36).map(lambda value: round(value, 2))
POINT = st.builds(complex, NUMBER, NUMBER)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[str, str, list[complex]]:
    """A shape's element without its label, and the corners of its polygon."""
    if draw(st.booleans()):
        points = draw(st.lists(POINT, min_size=3, max_size=8))
        text = ";".join(f"{point.real},{point.imag}" for point in points)
        return "polygon", f'points="{text}"', points
    one, other = draw(POINT), draw(POINT)
    left, right = sorted([one.real, other.real])
    top, bottom = sorted([one.imag, other.imag])
    angle = draw(st.sampled_from([0, 0, 30, 271.5]))
    center = complex((left + right) / 2, (top + bottom) / 2)
    corners = [
        complex(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    if angle:
        turn = cmath.exp(1j * math.radians(angle))
        corners = [center + (corner - center) * turn for corner in corners]
    box = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
    return "box", box + (f' rotation="{angle}"' if angle else ""), corners


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@settings(deadline=None, max_examples=40)
@given(drawn=st.lists(st.tuples(shapes(), st.sampled_from(NAMES), st.integers(-1, 2)), max_size=4))
def test_shapes_are_those_that_cvat_exports(
    drawn: list, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of the highest z_order on top, and of the same one in the order of the file."""
    expected = np.full(SIZE, 2, np.uint8)
    for (_, _, corners), label, _ in sorted(drawn, key=lambda one: one[2]):
        expected[fill(corners)] = NAMES.index(label)
    text = "".join(
        f'<{kind} label="{label}" {attributes} z_order="{z}"/>'
        for (kind, attributes, _), label, z in drawn
    )
    found = read(write(tmp_path_factory.mktemp("data"), text))
    # Corners that are turned differ in the last digit: a pixel may fall on the other side.
    assert np.count_nonzero(found != expected) <= ("rotation" in text)


def test_ellipses_are_those_of_opencv(tmp_path: Path) -> None:
    expected = np.zeros(SIZE, np.uint8)
    cv2.ellipse(expected, (12, 10), (9, 4), 30, 0, 360, 1, -1)
    shape = '<ellipse label="road" cx="11.6" cy="10.2" rx="9.1" ry="3.9" rotation="30"/>'
    np.testing.assert_array_equal(read(write(tmp_path, shape)) == 0, expected == 1)


BOX = '<box label="car" xtl="0" ytl="0" xbr="8" ybr="8"/>'


def test_shapes_without_an_area_are_told(tmp_path: Path) -> None:
    lines = '<polyline label="car" points="1,2;3,4"/>' * 2 + '<tag label="car"/>'
    data = open_dataset(write(tmp_path, BOX + lines + '<points label="car" points="1,2"/>'))
    told = "shapes without an area are not drawn: 1 points, 2 polyline"
    assert f"{tmp_path / 'annotations.xml'}: {told}" in data.notes
    assert np.unique(data.items[0].read().mask).tolist() == [1, 2]


def test_images_of_all_subsets_lie_in_one_folder(tmp_path: Path) -> None:
    write_cvat(tmp_path / "data")
    for subset in ("Train", "Validation"):
        for path in (tmp_path / "data" / "images" / subset).iterdir():
            path.rename(tmp_path / "data" / "images" / path.name)
    found = open_dataset(tmp_path / "data", split="val")
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert found.splits == ("Train", "Validation")


def test_an_image_without_a_subset_is_in_a_subset_of_its_own(tmp_path: Path) -> None:
    more = '<image id="1" name="b.png" subset="Test" width="32" height="24"/>'
    root = write(tmp_path, BOX, more)
    Image.new("RGB", SIZE[::-1]).save(root / "images" / "b.png")
    assert open_dataset(root, split="default").items[0].name == "a"
    assert open_dataset(root, split="test").items[0].name == "b"


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {two} "{f"&{one};" * 10}">'
        for one, two in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><annotations>&i;</annotations>"
)
OUTSIDE = (
    '<!DOCTYPE annotations [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>'
)


@pytest.mark.parametrize("text", [LAUGHS, OUTSIDE], ids=["laughs", "a file"])
def test_entities_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(SourceError, match="has a DOCTYPE, which may declare entities") as caught:
        open_dataset(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "kind", "says"),
    [
        ("<", SourceError, "annotations.xml is not XML: "),
        ('<box label="car"/>', DatasetError, "a box of a.png lacks 'xtl'; export it again"),
        ('<polygon label="car" points="1,x"/>', DatasetError, "a polygon of a.png has no number"),
        ('<polygon label="car" points="1,nan"/>', DatasetError, "a polygon of a.png has no number"),
        ('</image><track id="0"></track><image name="b">', DatasetError,
         "is CVAT's form for videos; export it as CVAT for images 1.1"),
        ('</image><image name="b">', DatasetError, "an image of b lacks 'height'"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_right(
    shapes: str, kind: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=says):
        open_dataset(write(tmp_path, shapes))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ('<mask label="car" rle="1, 3" left="0" top="0" width="2" height="3"/>',
         "has runs of 4 pixels, and there are 6"),
        ('<mask label="car" rle="6" left="31" top="0" width="2" height="3"/>',
         "reaches outside the image of 24x32"),
        ('<ellipse label="car" cx="1" cy="2" rx="1e7" ry="3"/>', "has a point far outside"),
        ('<ellipse label="car" cx="1" cy="2" rx="-1" ry="3"/>', "is an ellipse without an area"),
    ],
)  # fmt: skip
def test_shapes_that_cannot_be_right(shape: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=says) as caught:
        read(write(tmp_path, shape))
    assert is_in_the_guide(str(caught.value))


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no annotations.xml"):
        open_dataset(f"cvat:{tmp_path}")


def test_segmentation_masks_of_cvat_are_vocs_form(tmp_path: Path) -> None:
    """Segmentation mask 1.1: RGB masks, labelmap.txt with background first, a list of names."""
    root = tmp_path / "data"
    for scene in draw_scenes():
        save_image(scene, root / "JPEGImages" / f"{scene.name}.png")
        (root / "SegmentationClass").mkdir(exist_ok=True)
        Image.fromarray(paint(scene.ids)).save(root / "SegmentationClass" / f"{scene.name}.png")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("\n".join(scene.name for scene in draw_scenes()))
    colors = zip(LABELS.classes, LABELS.palette, strict=True)
    lines = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in colors]
    (root / "labelmap.txt").write_text(
        "\n".join(["# label:color_rgb:parts:actions", "background:0,0,0::", *lines])
    )
    found = open_dataset(root)
    assert found.layout == "voc"
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert VOID not in np.unique(found.items[0].read().mask)
