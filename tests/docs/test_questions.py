"""The page of questions: its Python runs, and its unit can be adapted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import ROOT

from edgeseg.cli.main import list_commands
from edgeseg.cli.usage import check_usage

if TYPE_CHECKING:
    import pytest

PAGE = (ROOT / "docs" / "questions.md").read_text("utf-8")


def code(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_mask_of_some_classes_and_its_certainty(
    reader: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    classes, certainty = code("python")
    monkeypatch.chdir(reader(classes + certainty))
    found: dict[str, object] = {}
    exec(classes, found)  # our own example, as the next one
    assert set(found["only"].ravel()) <= {*found["wanted"], 255}
    assert (found["mask"] == found["only"]).any()
    exec(certainty, found)
    assert found["scores"].shape == found["mask"].shape
    assert found["scores"].min() > 255 / 11


def test_the_unit_for_systemd_can_be_adapted_as_the_page_says() -> None:
    unit = (ROOT / "docs" / "edgeseg.service").read_text("utf-8")
    (command,) = re.findall(r"^ExecStart=\S+/edgeseg (.*)$", unit, re.MULTILINE)
    check_usage(command.replace("street", "current").split(), list_commands())
