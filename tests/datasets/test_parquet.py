"""Parquet files of Hugging Face's `datasets` give the counts of the plain form."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forms import LABELS, count, count_plain, draw_scenes, paint
from guide import is_in_the_guide
from shape_writers import encode_picture, list_cells, save_table, write_parquet

from edgeseg.data_rules import Rules
from edgeseg.datasets import Dataset, open_dataset, parquet_cells
from edgeseg.datasets.parquet_cells import Cell
from edgeseg.errors import DatasetError, MissingPackageError, SourceError, SpecError
from edgeseg.pixels import ClassMap


def read_masks(data: Dataset, order: list[int]) -> list[ClassMap]:
    return [data.items[place].read().mask for place in order]


@pytest.mark.parametrize(
    "files",
    [
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
        ["data/train-00000-of-00001.parquet"],
        ["train/0000.parquet", "train/0001.parquet"],
        ["train.parquet"],
        ["train_0.parquet", "train_1.parquet"],
        ["part0.parquet", "part1.parquet"],
    ],
)
def test_where_the_files_lie(files: list[str], tmp_path: Path) -> None:
    root, cells = tmp_path / "data", list_cells()
    write_parquet(root, "none")
    (root / "data" / "none-00000-of-00001.parquet").unlink()
    rows = np.array_split(np.arange(len(cells["id"])), len(files))
    for name, own in zip(files, rows, strict=True):
        save_table(root / name, {key: [some[i] for i in own] for key, some in cells.items()})
    found = open_dataset(root)
    assert found.split == (None if "part" in files[0] else "train")
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert f"names of the classes: {root / 'id2label.json'}" in found.notes
    assert not [note for note in found.notes if " files of '" in note]


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    save_table(tmp_path / "data" / "test-00001-of-00003.parquet", list_cells())
    assert f"{tmp_path / 'data'} holds 1 of 3 files of 'test'" in open_dataset(tmp_path).notes


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 1, 0, 2, 0]])
def test_rows_are_read_in_any_order(order: list[int], tmp_path: Path) -> None:
    save_table(tmp_path / "a.parquet", list_cells())
    data = open_dataset(tmp_path)
    masks = read_masks(data, order)
    for place, mask in zip(order, masks, strict=True):
        np.testing.assert_array_equal(mask, draw_scenes()[place].ids)
    assert [item.name for item in data.items] == ["a_000000", "a_000001", "a_000002"]


def test_a_group_is_closed_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyarrow holds the pictures of a whole group."""
    save_table(tmp_path / "a.parquet", list_cells())
    data = open_dataset(tmp_path)
    opened = []

    def note(path: Path, plain: Any = parquet_cells.open_table) -> Any:
        assert all(one.closed for one in opened)
        opened.append(plain(path))
        return opened[-1]

    monkeypatch.setattr(parquet_cells, "open_table", note)
    read_masks(data, [0, 2, 0, 2])
    assert len(opened) == 4


def test_rows_in_order_open_a_file_once_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three rows, two are in one group; hashing reads a row as well."""
    save_table(tmp_path / "a.parquet", list_cells())
    data = open_dataset(tmp_path)
    opened = []
    monkeypatch.setattr(
        parquet_cells,
        "open_table",
        lambda path, plain=parquet_cells.open_table: opened.append(path) or plain(path),
    )
    for item in data.items:
        assert item.sha256
        item.read()
    assert len(opened) == 2


def test_items_travel_between_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_table(tmp_path / "a.parquet", list_cells())
    monkeypatch.chdir(tmp_path)
    data = open_dataset(".")
    item = pickle.loads(pickle.dumps(data.items[1].make_absolute()))
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(item.read().mask, draw_scenes()[1].ids)


def test_the_hash_is_of_the_rows_bytes(tmp_path: Path) -> None:
    cells = list_cells()
    save_table(tmp_path / "a.parquet", cells)
    hashes = [item.sha256 for item in open_dataset(tmp_path).items]
    cells["label"][1]["bytes"] = encode_picture(np.zeros_like(draw_scenes()[1].ids))
    cells["image"][2]["bytes"] = encode_picture(np.zeros_like(draw_scenes()[2].image))
    save_table(tmp_path / "a.parquet", cells)
    changed = [item.sha256 for item in open_dataset(tmp_path).items]
    assert [one == other for one, other in zip(hashes, changed, strict=True)] == [
        True,
        False,
        False,
    ]


def test_painted_masks(tmp_path: Path) -> None:
    cells = list_cells()
    for cell, scene in zip(cells["label"], draw_scenes(), strict=True):
        cell["bytes"] = encode_picture(paint(scene.ids))
    save_table(tmp_path / "d" / "train.parquet", cells)
    rules = {"classes": list(LABELS.classes), "palette": "camvid", "ignore_colors": [[0, 0, 0]]}
    (tmp_path / "d" / "dataset.json").write_text(json.dumps(rules))
    np.testing.assert_array_equal(
        count(open_dataset(tmp_path / "d")), count_plain(tmp_path / "plain")
    )


def test_masks_of_lists_with_the_names_of_their_ids(tmp_path: Path) -> None:
    """As `datasets` describes a sequence of sequences of `ClassLabel`."""
    label = {"names": list(LABELS.classes), "_type": "ClassLabel"}
    described = {
        "image": {"_type": "Image"},
        "scene": {"names": ["day", "night"], "_type": "ClassLabel"},
        "label": {"feature": {"feature": label, "_type": "Sequence"}, "_type": "Sequence"},
    }
    cells = list_cells() | {"label": [scene.ids.astype(int).tolist() for scene in draw_scenes()]}
    save_table(tmp_path / "d" / "train.parquet", cells, described=described)
    found = open_dataset(tmp_path / "d")
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    assert f"names of the classes: {tmp_path / 'd' / 'train.parquet'}" in found.notes


def test_lists_of_rows_that_differ_are_named(tmp_path: Path) -> None:
    cells = list_cells() | {"label": [[[1, 2], [3]]] * 3}
    save_table(tmp_path / "a.parquet", cells, described=None)
    with pytest.raises(SourceError, match="a.parquet, row 0, column 'label' cannot be read as an"):
        open_dataset(tmp_path).items[0].read()


def rename(**names: str) -> dict[str, Any]:
    return {names.get(key, key): cells for key, cells in list_cells().items()}


@pytest.mark.parametrize(
    "columns",
    [
        rename(image="pixel_values", label="annotation"),
        rename(image="scene", label="mask"),
        rename() | {"depth": list_cells()["label"]},
        rename(image="photo") | {"label": [cell["bytes"] for cell in list_cells()["label"]]},
    ],
    ids=["names", "one name", "a third picture", "plain bytes"],
)
def test_columns_by_their_names(columns: dict[str, Any], tmp_path: Path) -> None:
    plain_bytes = isinstance(columns.get("label", [None])[0], bytes)
    save_table(tmp_path / "a.parquet", columns, described=None if plain_bytes else {})
    for mask, scene in zip(
        read_masks(open_dataset(tmp_path), [0, 1, 2]), draw_scenes(), strict=True
    ):
        np.testing.assert_array_equal(mask, scene.ids)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (rename(label="depth"), "has these columns of pictures: image, depth; edgeseg takes"),
        ({"id": ["a"]}, r"none \(it has id\)"),
        (rename() | {"mask": list_cells()["label"]}, "pictures: image, label, mask; edgeseg takes"),
    ],
)
def test_columns_that_are_not_clear(columns: dict, says: str, tmp_path: Path) -> None:
    save_table(tmp_path / "a.parquet", columns)
    with pytest.raises(DatasetError, match=says):
        open_dataset(tmp_path)


def test_columns_that_are_named(tmp_path: Path) -> None:
    save_table(
        tmp_path / "a.parquet", rename(image="left", label="depth") | {"x": list_cells()["image"]}
    )
    data = open_dataset(f"parquet:{tmp_path}", rules=Rules(images_dir="left", masks_dir="depth"))
    np.testing.assert_array_equal(data.items[2].read().mask, draw_scenes()[2].ids)


def test_a_row_without_bytes_is_named(tmp_path: Path) -> None:
    cells = list_cells()
    cells["image"][2] = {"bytes": None, "path": "elsewhere.png"}
    save_table(tmp_path / "a.parquet", cells)
    item = open_dataset(tmp_path).items[2]
    with pytest.raises(SourceError, match="a.parquet, row 2, column 'image' is empty") as caught:
        item.read()
    assert is_in_the_guide(str(caught.value))
    assert item.withheld is None


def test_a_file_that_is_damaged_or_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    save_table(path, list_cells())
    data = open_dataset(tmp_path)
    path.rename(tmp_path / "moved")
    with pytest.raises(SourceError, match="a.parquet, row 0, column 'image' cannot be read"):
        data.items[0].read()
    with pytest.raises(SourceError, match="a.parquet, row 0, column 'image' cannot be read"):
        assert data.items[0].sha256
    path.write_bytes(b"PAR1 and no table")
    with pytest.raises(SourceError, match="a.parquet cannot be read: "):
        open_dataset(tmp_path)


def test_arrow_files_are_refused_with_what_converts_them(tmp_path: Path) -> None:
    (tmp_path / "data-00000-of-00001.arrow").touch()
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"save_to_disk; write Parquet .*found.to_parquet\('"):
        open_dataset(tmp_path)
    (tmp_path / "state.json").rename(tmp_path / "dataset_dict.json")
    with pytest.raises(DatasetError, match=r"\[part.to_parquet\(.* for name, part in found.items"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ('{"id2label": {"0": "a", "2": "b"}}', SpecError, "but none for id 1"),
        ("[1]", SourceError, "has no names by their ids"),
        ("{", SourceError, "has no names by their ids"),
    ],
)
def test_names_of_another_form(text: str, kind: type[Exception], says: str, tmp_path: Path) -> None:
    save_table(tmp_path / "a.parquet", list_cells())
    (tmp_path / "id2label.json").write_text(text)
    with pytest.raises(kind, match=f"id2label.json .*{says}"):
        open_dataset(tmp_path)


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no .parquet files, as data/train-00000-of-00001"):
        open_dataset(f"parquet:{tmp_path}")


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_table(tmp_path / "a.parquet", list_cells())
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, package=None: None if name == "pyarrow" else find(name, package),
    )
    with pytest.raises(MissingPackageError, match=r"'edgeseg\[parquet\]' -c constraints"):
        open_dataset(tmp_path)


def test_a_cell_is_a_part_of_its_file(tmp_path: Path) -> None:
    save_table(tmp_path / "a.parquet", list_cells())
    cell: Any = open_dataset(tmp_path).items[1].image_path
    assert isinstance(cell, Cell)
    assert str(cell) == f"{tmp_path / 'a.parquet'}, row 1, column 'image'"
    assert cell.exists()
    assert cell.stat().st_size == len(cell.read_bytes()) == len(cell.open().read())
