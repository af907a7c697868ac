"""Masks in every form give the counts of the plain form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from forms import (
    LABELS,
    VOID,
    count,
    count_plain,
    draw_scenes,
    paint,
    save_ids,
    save_image,
    save_painted,
    write_classes,
    write_plain,
)
from guide import is_in_the_guide
from PIL import Image

from edgeseg.datasets import Survey, open_dataset
from edgeseg.datasets.truth.void_colors import VOID_COLORS
from edgeseg.errors import DatasetError, SourceError, SpecError
from edgeseg.labels import get_known_labels
from edgeseg.pixels import ClassMap

Save = Callable[[ClassMap, Path], None]
PALETTE = [list(color) for color in LABELS.palette]


@pytest.fixture
def plain(tmp_path: Path) -> np.ndarray:
    return count_plain(tmp_path / "plain")


def write(folder: Path, save: Save, ending: str = ".png", **rules: object) -> Path:
    for scene in draw_scenes():
        save_image(scene, folder / "images" / f"{scene.name}.jpg.png")
        (folder / "images" / f"{scene.name}.jpg.png").rename(
            folder / "images" / f"{scene.name}.png"
        )
        (folder / "masks").mkdir(exist_ok=True)
        save(scene.ids, folder / "masks" / f"{scene.name}{ending}")
    write_classes(folder, **rules)
    return folder


def save_palette(ids: ClassMap, path: Path) -> None:
    image = Image.fromarray(ids)
    image.putpalette(paint(np.arange(256, dtype=np.uint8)[None])[0].tobytes())
    image.save(path)


def save_array(ids: ClassMap, path: Path) -> None:
    np.save(path, ids.astype(np.int64))


def save_lossless(ids: ClassMap, path: Path) -> None:
    Image.fromarray(np.stack([ids] * 3, axis=-1)).save(path, lossless=True)


def save_with_alpha(ids: ClassMap, path: Path) -> None:
    alpha = np.where(ids == VOID, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([paint(ids), alpha])).save(path)


IDS: list[tuple[str, Save, str]] = [
    ("palette", save_palette, ".png"),
    ("16 bit", lambda ids, path: save_ids(ids.astype(np.uint16), path), ".png"),
    ("three equal channels", lambda ids, path: save_ids(np.dstack([ids] * 3), path), ".png"),
    ("tif", save_ids, ".tif"),
    ("tif by OpenCV", lambda ids, path: cv2.imwrite(str(path), ids), ".tiff"),
    ("bmp", save_ids, ".bmp"),
    ("npy", save_array, ".npy"),
    ("webp", save_lossless, ".webp"),
]


@pytest.mark.parametrize(("save", "ending"), [one[1:] for one in IDS], ids=[one[0] for one in IDS])
def test_masks_of_ids(save: Save, ending: str, plain: np.ndarray, tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path / "data", save, ending))
    np.testing.assert_array_equal(count(data), plain)


PAINTED: list[tuple[str, Save, str]] = [
    ("RGB", save_painted, ".png"),
    ("RGBA", save_with_alpha, ".png"),
    ("tif", save_painted, ".tif"),
    ("bmp", save_painted, ".bmp"),
    ("webp", lambda ids, path: Image.fromarray(paint(ids)).save(path, lossless=True), ".webp"),
    ("npy", lambda ids, path: np.save(path, paint(ids)), ".npy"),
]


@pytest.mark.parametrize(
    ("save", "ending"), [one[1:] for one in PAINTED], ids=[one[0] for one in PAINTED]
)
def test_painted_masks(save: Save, ending: str, plain: np.ndarray, tmp_path: Path) -> None:
    rules = {"palette": PALETTE, "ignore_colors": [[0, 0, 0]]}
    data = open_dataset(write(tmp_path / "data", save, ending, **rules))
    np.testing.assert_array_equal(count(data), plain)


def write_csv(header: str, line: str, folder: Path, name: str) -> None:
    rows = [
        line.format(id=own, name=label, r=red, g=green, b=blue)
        for own, (label, (red, green, blue)) in enumerate(
            zip(LABELS.classes, LABELS.palette, strict=True)
        )
    ]
    (folder / name).write_text("\n".join(filter(None, [header, *rows])))


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("classes.csv", "name,r,g,b", "{name},{r},{g},{b}"),
        ("class_dict.csv", "name, r, g, b", "{name}, {r}, {g}, {b}"),
        ("classes.csv", "Class,Red,Green,Blue", "{name},{r},{g},{b}"),
        ("labelmap.txt", "# label:color_rgb:parts:actions", "{name}:{r},{g},{b}::"),
        ("label_colors.txt", "", "{r} {g} {b}\t{name}"),
    ],
)
def test_colors_of_a_labelling_tool(
    name: str, header: str, line: str, plain: np.ndarray, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", save_painted)
    (data / "dataset.json").unlink()
    write_csv(header, line, data, name)
    with pytest.raises(DatasetError, match="colors of no class of .*#000000"):
        count(open_dataset(data))  # void is black, and nothing says so
    filled = write(tmp_path / "filled", lambda ids, path: save_painted(np.minimum(ids, 2), path))
    (filled / "dataset.json").unlink()
    write_csv(header, line, filled, name)
    found = open_dataset(filled)
    assert f"names and colors of the classes: {filled / name}" in found.notes
    whole = write_plain(tmp_path / "whole", lambda ids, path: save_ids(np.minimum(ids, 2), path))
    np.testing.assert_array_equal(count(found), count(open_dataset(whole)))


def test_names_by_pixel_value(plain: np.ndarray, tmp_path: Path) -> None:
    data = write(tmp_path / "data", save_ids)
    (data / "dataset.json").unlink()
    write_csv("Pixel Value, Class", " {id}, {name}", data, "_classes.csv")
    np.testing.assert_array_equal(count(open_dataset(data)), plain)


def test_a_published_palette_by_its_name(plain: np.ndarray, tmp_path: Path) -> None:
    data = write(tmp_path / "data", save_painted)
    for rules in ({"palette": "camvid"}, {"palette": "camvid", "ignore_colors": [[0, 0, 0]]}):
        (data / "dataset.json").write_text(json.dumps(rules))
        np.testing.assert_array_equal(count(open_dataset(data)), plain)


def test_the_published_colors_of_no_class_are_no_class_of_the_palette() -> None:
    for name, colors in VOID_COLORS.items():
        assert (0, 0, 0) in colors
        assert not set(colors) & set(get_known_labels(name).palette)


def test_a_color_of_the_ignored_id(plain: np.ndarray, tmp_path: Path) -> None:
    """CamVid's trainers list twelve colors, of which the last is that of the ignored id 11."""
    more = {"palette": [*PALETTE, [0, 0, 0]]}
    data = open_dataset(write(tmp_path / "data", save_painted, ignore_index=11, **more))
    np.testing.assert_array_equal(count(data), plain)
    with pytest.raises(SpecError, match="11 class names but 12 colors"):
        open_dataset(write(tmp_path / "other", save_painted, ignore_index=255, **more))


def test_a_few_pixels_of_other_colors_are_counted_and_named(tmp_path: Path) -> None:
    def save(ids: ClassMap, path: Path) -> None:
        painted = paint(np.minimum(ids, 2))
        painted[20, 20:23] = (1, 2, 3)
        Image.fromarray(painted).save(path)

    data = open_dataset(write(tmp_path / "data", save, palette=PALETTE))
    survey = Survey()
    for sample in data:
        assert (sample.mask[20, 20:23] == VOID).all()
        assert sample.unknown == {(1, 2, 3): 3}
        survey.add(sample)
    (told,) = (note for note in survey.notes(data.labels) if note.startswith("painted masks"))
    assert "colors that are no class: 3, the first street0; these pixels (0.0977 % of all)" in told
    assert "#010203" in told


def test_colors_of_no_class_are_refused(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path / "data", save_painted, palette=PALETTE))
    with pytest.raises(DatasetError, match=r"#000000 \(2\.60 % of its pixels\)") as caught:
        data.items[0].read()
    assert is_in_the_guide(str(caught.value))


def test_smoothed_colors_are_told_from_forgotten_ones(tmp_path: Path) -> None:
    def smooth(ids: ClassMap, path: Path) -> None:
        Image.fromarray(cv2.GaussianBlur(paint(ids), (3, 3), 0.6)).save(path)

    for name, rules in (("known", {"palette": "camvid"}), ("unknown", {})):
        data = open_dataset(write(tmp_path / name, smooth, **rules))
        with pytest.raises(
            DatasetError, match="along edges only, as in .* a smoothed mask"
        ) as caught:
            data.items[0].read()
        assert is_in_the_guide(str(caught.value))


def test_colors_without_a_palette_are_refused_with_the_colors(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path / "data", save_painted))
    with pytest.raises(DatasetError, match="painted in colors, and nothing says .*#") as caught:
        data.items[0].read()
    assert "smoothed" not in str(caught.value)
    assert is_in_the_guide(str(caught.value))


def test_a_color_of_two_classes_is_refused(tmp_path: Path) -> None:
    """But only where it matters: a mask of ids needs no colors."""
    palette = [[128, 64, 128]] * 11
    painted = open_dataset(write(tmp_path / "data", save_painted, palette=palette))
    says = "is painted in colors, and .* gives the color #804080 to Building and to Sky; give each"
    with pytest.raises(DatasetError, match=says) as caught:
        painted.items[0].read()
    assert is_in_the_guide(str(caught.value))
    open_dataset(write(tmp_path / "ids", save_ids, palette=palette)).items[0].read()


@pytest.mark.parametrize(
    ("save", "ending", "says"),
    [
        (lambda ids, path: Image.fromarray(paint(ids)).save(path, quality=100), ".webp",
         "is a WebP with loss, whose compression changes class ids"),
        (lambda ids, path: Image.fromarray(np.dstack([paint(ids), ids])).save(path), ".png",
         "has half transparent pixels, whose color is not that of a class"),
        (lambda ids, path: np.save(path, ids / 2), ".npy", "holds float64 values; save ids as"),
        (lambda ids, path: np.save(path, ids[None]), ".npy", "has the shape 1x48x64; a mask is"),
        (lambda ids, path: np.save(path, ids.astype(int) - 1), ".npy", "ids outside 0 to 65535"),
        (lambda ids, path: cv2.imwrite(str(path), np.dstack([ids.astype(np.uint16) * 257] * 3)),
         ".png", "has 16 bits a channel, and a color of a mask has 8"),
    ],
    ids=["lossy", "half transparent", "floats", "shape", "below 0", "deep"],
)  # fmt: skip
def test_what_cannot_be_a_mask(save: Save, ending: str, says: str, tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path / "data", save, ending))
    with pytest.raises(SourceError, match=says) as caught:
        data.items[0].read()
    assert is_in_the_guide(str(caught.value))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}", "{}_mask"),
        ("{}", "{}_L"),
        ("{}", "{}_labelIds"),
        ("{}_leftImg8bit", "{}_gtFine_labelIds"),
        ("{}_sat", "{}_mask"),
        ("{}", "{}_anno"),
    ],
)
def test_names_of_masks(image: str, mask: str, plain: np.ndarray, tmp_path: Path) -> None:
    rules = {"mask_suffix": "_anno"} if mask.endswith("_anno") else {}
    for scene in draw_scenes():
        save_image(scene, tmp_path / "d" / "images" / f"{image.format(scene.name)}.png")
        save_ids(scene.ids, tmp_path / "d" / "masks" / f"{mask.format(scene.name)}.png")
    write_classes(tmp_path / "d", **rules)
    found = open_dataset(tmp_path / "d")
    np.testing.assert_array_equal(count(found), plain)
    told = any("the name of a mask has '" in note for note in found.notes)
    assert told == (not rules)


def test_a_table_of_something_else_is_no_file_of_classes(tmp_path: Path) -> None:
    """`labels.csv` is what many exports call a list of files or boxes."""
    data = write(tmp_path / "data", save_ids)
    (data / "dataset.json").unlink()
    (data / "labels.csv").write_text("file,x,y\na.png,1,2\n")
    assert open_dataset(data).labels is None
