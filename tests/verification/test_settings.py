from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.accuracy.limits import LIMITS, Limits
from edgeseg.errors import SpecError
from edgeseg.verification.settings import read_limits


def test_a_file_sets_every_limit(tmp_path: Path) -> None:
    path = tmp_path / "edgeseg.toml"
    path.write_text("[verify.gates]\n" + "".join(f"{name} = 1.5\n" for name in LIMITS))
    assert read_limits(path).table == dict.fromkeys(LIMITS, 1.5)


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "edgeseg.toml"
    for text in ("", "[verify]\n", "[verify.gates]\n"):
        path.write_text(text)
        assert (read_limits(path), read_limits(path).table) == (Limits(), {})
    path.write_text("[verify.gates]\nmax_drop = 1\n")
    assert read_limits(path).table == {"max_drop": 1.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[verify.gates]\nmax_dropp = 1\n",
            ": max_dropp is not a limit; did you mean max_drop? Limits are max_drop, ",
        ),
        ("[verify.gates]\nsilly = 1\n", ": silly is not a limit. Limits are max_drop, "),
        ("[verify.gates]\nmax_drop = 'a'\n", ": max_drop must be a number; got 'a'"),
        ("[verify.gates]\nmax_drop = true\n", ": max_drop must be a number; got True"),
        ("[verify.gates]\nmax_drop = 101\n", ": max_drop is 0 to 100 points; got 101"),
        ("[verify.gates]\nmax_size_mb = inf\n", "max_size_mb must be a finite number above 0"),
        (f"[verify.gates]\nmax_drop = 1{'0' * 400}\n", ": max_drop is 0 to 100 points; got inf"),
        ("[verify]\ngates = 1\n", " cannot be used: Expected `object`, got `int`"),
        ("[gates]\nmax_drop = 1\n", " cannot be used: Object contains unknown field `gates`"),
        ("[verify.gates\n", " cannot be used: "),
    ],
)
def test_what_cannot_be_used_is_named_with_what_can(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "edgeseg.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        read_limits(path)
    assert says in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"x\.toml cannot be read: No such file"):
        read_limits(tmp_path / "x.toml")
