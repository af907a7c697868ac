"""One list of limits: each form of a limit is made from it, or compared with it here."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np
import pytest
import typer
from conftest import ROOT

import edgeseg as package
from edgeseg.accuracy.limits import LIMITS, POINTS, Limit, Limits, name_option
from edgeseg.cli.commands import export, sweep, verify
from edgeseg.cli.limits import EXPORT_LIMITS, SWEEP_LIMITS
from edgeseg.cli.main import app
from edgeseg.cli.parameters import Command, read_command
from edgeseg.errors import SpecError


def options_of(command: Command) -> list[str]:
    """The options that are limits, in their order."""
    return [name for name in command.options if re.match("--(max|min)-", name)]


def test_a_limit_is_a_field_a_parameter_and_an_option() -> None:
    assert [one.name for one in fields(Limits) if one.init] == list(LIMITS)
    assert package.Limits is Limits
    assert options_of(read_command(verify.verify)) == [name_option(name) for name in LIMITS]
    for command, limits in ((export.export, EXPORT_LIMITS), (sweep.sweep, SWEEP_LIMITS)):
        assert options_of(read_command(command)) == [name_option(name) for name in limits]


def test_the_guide_has_a_row_for_each_limit_with_its_default() -> None:
    text = (ROOT / "docs" / "ci.md").read_text("utf-8")
    rows = re.findall(r"^\| `((?:max|min)_\w+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    assert rows == [(name, default_in_words(limit)) for name, limit in LIMITS.items()]


def default_in_words(limit: Limit) -> str:
    if limit.default is None:
        return "off"
    unit = "point" if (limit.unit, limit.default) == (POINTS, 1) else limit.unit
    return f"{limit.default:g} {unit}"


def test_help_says_what_the_list_says() -> None:
    command = typer.main.get_command(app).commands["verify"]
    shown = {one.name: (one.help, one.show_default) for one in command.params}
    for name, limit in LIMITS.items():
        default = "off" if limit.default is None else f"{limit.default:g}"
        assert shown[name] == (limit.help, default)


def test_what_is_given_is_known_from_what_is_a_default() -> None:
    assert Limits().given == frozenset()
    assert Limits() == Limits(max_drop=1.0)
    given = Limits(max_drop=1.0, max_class_drop=None, max_size_mb=20)
    assert given.table == {"max_drop": 1.0, "max_size_mb": 20}
    again = given.replace(max_drop=2.0)
    assert again.table == {"max_drop": 2.0, "max_size_mb": 20}
    assert (again.max_class_drop, again.max_regression) == (None, 0.1)


def test_a_name_that_is_no_limit_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="class_dropp is not a limit; did you mean max_class_drop"):
        Limits.of({"max_class_dropp": 1.0})


def test_a_limit_that_is_no_number_is_refused() -> None:
    assert Limits(max_drop=np.float32(0.5)).max_drop == 0.5
    for value in ("a", True, [1]):
        with pytest.raises(SpecError, match="max_drop must be a number; got"):
            Limits(max_drop=value)


def test_a_number_of_hundreds_of_digits_is_out_of_range() -> None:
    with pytest.raises(SpecError, match="max_size_mb must be a finite number above 0; got inf"):
        Limits(max_size_mb=10**400)
