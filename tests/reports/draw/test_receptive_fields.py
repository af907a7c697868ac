from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from edgeseg.reports.draw.receptive_fields import MARK, draw_receptive_fields
from edgeseg.segformer.receptive_field import PARTS, ReceptiveField

SVG = "{http://www.w3.org/2000/svg}"
TITLE = 'B0 on <CamVid> & "others"'
FORMS = ("exact", "merge-queries")


def _fields(height: int, width: int) -> dict[str, dict[str, ReceptiveField]]:
    """Fields that fall off from the center, each part's more slowly than the one before."""
    rows, columns = np.arange(height)[:, None], np.arange(width)
    center = height // 2, width // 2
    distance = np.hypot(rows - center[0], columns - center[1])
    one = {
        part: ReceptiveField(mass=np.exp(-distance / (3 * (place + 1))), center=center)
        for place, part in enumerate(PARTS)
    }
    return dict.fromkeys(FORMS, one)


def _parse(height: int = 90, width: int = 120) -> ET.Element:
    return ET.fromstring(draw_receptive_fields(_fields(height, width), title=TITLE))


def _pixels(image: ET.Element) -> np.ndarray:
    encoded = image.get("href", "").removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def _maps(picture: ET.Element) -> list[ET.Element]:
    return [found for group in picture.iter(f"{SVG}g") for found in group.iter(f"{SVG}image")]


def test_a_row_for_each_form_and_five_columns() -> None:
    picture = _parse()
    maps = _maps(picture)
    assert len(maps) == len(FORMS) * 5
    assert len({found.get("x") for found in maps}) == 5
    assert len({found.get("y") for found in maps}) == len(FORMS)
    texts = {text.text for text in picture.iter(f"{SVG}text")}
    assert {TITLE, *FORMS, "stage 1", "stage 2", "stage 3", "stage 4", "head"} <= texts


def test_it_has_a_title_and_one_for_each_map() -> None:
    picture = _parse()
    titles = [title.text or "" for title in picture.iter(f"{SVG}title")]
    assert titles[0] == picture.get("aria-label") == TITLE
    field = _fields(90, 120)["exact"]["stage2"]
    sides = f"50 % in {field.find_side(0.5)} px, 95 % in {field.find_side(0.95)} px"
    assert f"merge-queries, stage 2: {sides}" in titles
    assert sides in [text.text for text in picture.iter(f"{SVG}text")]


def test_colors_are_logarithms_of_the_share_of_the_largest() -> None:
    picture = _parse()
    (key,) = [image for image in picture.iter(f"{SVG}image") if image not in _maps(picture)]
    ramp = _pixels(key)[0]
    assert (ramp[0].tolist(), ramp[-1].tolist()) == ([68, 1, 84], [253, 231, 37])
    assert (np.diff(ramp @ [0.2126, 0.7152, 0.0722]) > 0).all()  # lighter with every step
    found = _pixels(_maps(picture)[2])
    mass = _fields(90, 120)["exact"]["stage2"].mass
    level = np.rint((np.log10(np.maximum(mass, 1e-4)) / 4 + 1) * (len(ramp) - 1))
    np.testing.assert_array_equal(found, ramp[level.astype(int)])


@pytest.mark.parametrize("size", [(90, 120), (360, 480), (480, 120), (32, 32)], ids=str)
def test_squares_are_centered_and_lie_in_their_maps(size: tuple[int, int]) -> None:
    picture = _parse(*size)
    width, height = (float(picture.get(side, "")) for side in ("width", "height"))
    for group in picture.iter(f"{SVG}g"):
        (shown,) = group.iter(f"{SVG}image")
        left, top, right, bottom = _find_edges(shown)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0], rel=0.02)
        core, most = (_find_edges(square) for square in group.iter(f"{SVG}rect"))
        for outer, inner in (((left, top, right, bottom), most), (most, core)):
            assert all(a <= b + 0.2 for a, b in zip(outer[:2], inner[:2], strict=True))
            assert all(a >= b - 0.2 for a, b in zip(outer[2:], inner[2:], strict=True))


def _find_edges(shape: ET.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(shape.get(name, "")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_it_loads_nothing_and_is_known_as_ours() -> None:
    text = draw_receptive_fields(_fields(90, 120), title=TITLE)
    for word in ("url(", "<script", "<style", "@import", "http:"):
        assert word not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert all(found.startswith("data:image/png") for found in re.findall('href="([^"]*)', text))
    assert MARK in text[:4096]
