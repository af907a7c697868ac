from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from edgeseg.accuracy.gates import Limits
from edgeseg.errors import SpecError
from edgeseg.verification.settings import _GATES, read_gates


def test_a_file_sets_every_limit(tmp_path: Path) -> None:
    path = tmp_path / "edgeseg.toml"
    names = [field.name for field in fields(Limits)]
    path.write_text("[verify.gates]\n" + "".join(f"{name} = 1.5\n" for name in names))
    assert read_gates(path) == dict.fromkeys(names, 1.5)
    assert set(_GATES) == set(names)


def test_what_a_file_leaves_out_is_not_set(tmp_path: Path) -> None:
    path = tmp_path / "edgeseg.toml"
    for text in ("", "[verify]\n", "[verify.gates]\n"):
        path.write_text(text)
        assert read_gates(path) == {}
    path.write_text("[verify.gates]\nmax_drop = 1\n")
    assert read_gates(path) == {"max_drop": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[verify.gates]\nmax_dropp = 1\n", "unknown field `max_dropp`"),
        ("[verify.gates]\nmax_drop = 'a'\n", "Expected `float | null`, got `str`"),
        ("[gates]\nmax_drop = 1\n", "unknown field `gates`"),
        ("[verify.gates\n", "cannot be used: "),
    ],
)
def test_what_cannot_be_used_is_named_with_what_can(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "edgeseg.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        read_gates(path)
    assert says in str(error.value)
    assert str(error.value).startswith(f"{path} ")
    assert "[verify.gates] takes max_drop, max_class_drop, " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"x\.toml cannot be read: No such file"):
        read_gates(tmp_path / "x.toml")
