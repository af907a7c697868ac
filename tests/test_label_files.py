"""A file of class names is read as it is meant, or refused with the forms that are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg.errors import SpecError
from edgeseg.labels import read_labels

if TYPE_CHECKING:
    from outcome import Outcome


@pytest.mark.parametrize(
    "content",
    [
        {"0": "sky", "1": "road", "2": "tree"},
        {"2": "tree", "0": "sky", "1": "road"},
        {"id2label": {"0": "sky", "1": "road", "2": "tree"}, "model_type": "segformer"},
        {"classes": ["sky", "road", "tree"]},
    ],
)
def test_json_gives_names_as_a_list_or_by_id(content: object, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert read_labels(str(tmp_path / "x.json")).classes == ("sky", "road", "tree")


@pytest.mark.parametrize("name", ["names", "x.txt", "x.names", "x.TXT"])
def test_plain_text_has_a_name_a_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("sky\nroad surface\n2nd road\n")
    assert read_labels(str(tmp_path / name)).classes == ("sky", "road surface", "2nd road")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.yaml", "0: sky\n1: road\n", r"end in \.yaml.*\.txt.*\.json"),
        ("x.yml", "names: [sky, road]\n", r"end in \.yml"),
        ("x.csv", "id,name\n0,sky\n", r"end in \.csv"),
        ("x.py", "CLASSES = ('sky',)\n", r"end in \.py"),
        ("x.txt", "0: sky\n1: road\n", "numbered lines"),
        ("x.txt", "0 sky\n1 road\n", "numbered lines"),
        ("x.txt", "0,sky\n1,road\n", "numbered lines"),
        ("x.json", '{"1": "sky", "2": "road"}', "none for id 0"),
        ("x.json", '{"0": "sky", "road": "1"}', "'road', which is no id"),
    ],
)
def test_other_forms_are_refused(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=says) as caught:
        read_labels(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_the_command_line_says_it_in_one_line(
    edgeseg: Callable[..., Outcome], checkpoint_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.yaml").write_text("0: sky\n")
    done = edgeseg("export", "--weights", checkpoint_folder, "--labels", "x.yaml", "-o", "b")
    assert done.status == 1
    assert "end in .yaml" in done.err
    assert not (tmp_path / "b").exists()
