from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgeseg.errors import SpecError
from edgeseg.labels import KNOWN, Labels, find_labels, get_known_labels, read_labels

SIZES = {"ade20k": 150, "camvid": 11, "cityscapes": 19, "cocostuff": 171}


@pytest.mark.parametrize("name", KNOWN)
def test_known_labels_have_a_distinct_name_for_each_class(name: str) -> None:
    labels = get_known_labels(name)
    assert len(labels.classes) == SIZES[name]
    assert len(set(labels.classes)) == SIZES[name]


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        ("ade20k", 0, "wall"),
        ("ade20k", 149, "flag"),
        ("cityscapes", 18, "bicycle"),
        ("cocostuff", 0, "person"),
        ("cocostuff", 80, "banner"),
        ("cocostuff", 170, "wood"),
    ],
)
def test_known_labels_are_in_order(name: str, index: int, expected: str) -> None:
    assert get_known_labels(name).classes[index] == expected


def test_camvid_equals_the_published_file(camvid: Path) -> None:
    published = json.loads((camvid / "dataset.json").read_text())
    labels = get_known_labels("camvid")
    assert list(labels.classes) == published["classes"]
    assert [list(color) for color in labels.palette] == published["palette"]
    assert labels.ignore_index == published["ignore_index"]


@pytest.mark.parametrize("classes", [2, 150, 300])
def test_generated_palettes_give_each_class_its_color(classes: int) -> None:
    labels, source = find_labels([f"thing {i}" for i in range(classes)], classes)
    assert source == "the checkpoint"
    assert len(set(labels.palette)) == classes
    assert (0, 0, 0) not in labels.palette


def test_names_are_guessed_only_where_there_are_none() -> None:
    placeholders = [f"LABEL_{i}" for i in range(19)]
    for names in (placeholders, None):
        labels, source = find_labels(names, 19)
        assert (labels, "guessed" in source) == (get_known_labels("cityscapes"), True)
    labels, source = find_labels(None, 5)
    assert labels.classes[4] == "class 4"
    assert "numbers" in source


def test_a_file_of_names(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("floor\n\n wall \n")
    assert read_labels(str(tmp_path / "names.txt")).classes == ("floor", "wall")


def test_a_file_with_colors(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(
        json.dumps({"classes": ["a", "b"], "palette": [[1, 2, 3], [4, 5, 6]], "ignore_index": 7})
    )
    assert read_labels(str(path)) == Labels(
        classes=("a", "b"), palette=((1, 2, 3), (4, 5, 6)), ignore_index=7
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        pytest.param("[" * 200_000, "not JSON", id="nested without end"),
        ("[]", "not a JSON object"),
        ('{"classes": "a"}', "no `classes`"),
        ('{"classes": ["a"], "palette": [[1, 2]]}', "not a list of"),
        ('{"classes": ["a"], "palette": []}', "1 class names but 0 colors"),
        ('{"classes": ["a"], "palette": [[1, 2, 300]]}', "0 to 255"),
        ('{"classes": ["a", "b"], "ignore_index": 1}', "also the class 'b'"),
        ('{"classes": ["a", "b", "a"]}', "class names a occur more than once"),
        ('{"classes": ["a"], "ignore_index": "x"}', "not a whole number"),
        ('{"classes": ["a"], "ignore_index": true}', "is true, not a whole number"),
        ('{"classes": ["a"], "ignore_index": -1}', "-1 is no id that a mask can hold; .* as 255"),
        ('{"classes": ["a"], "ignore_index": 65536}', "choose one of 0 to 65535"),
        ('{"classes": ["a"], "ignore_index": 70000}', "70000 is no id that a mask can hold"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(SpecError, match=says):
        read_labels(str(path))


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": ["a"], "ignore_index": 70000},
        {"classes": ["a", "a"]},
        {"classes": ["a"], "palette": []},
        {"classes": ["a"], "palette": [[1, 2, 300]]},
    ],
)
def test_a_refusal_names_the_file(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(SpecError, match=f"^{re.escape(str(path))}: "):
        read_labels(str(path))


def test_neither_a_name_nor_a_file() -> None:
    with pytest.raises(
        SpecError, match=r"neither a file \(No such file or directory\) nor one of ade20k"
    ):
        read_labels("citiscapes")
