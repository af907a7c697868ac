"""The page of questions: its Python runs, and its Dockerfile names what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import ROOT

from edgeseg.cli.main import list_commands
from edgeseg.cli.usage import check_usage
from edgeseg.machine.extras import EXTRAS

if TYPE_CHECKING:
    import pytest

PAGE = (ROOT / "docs" / "questions.md").read_text("utf-8")


def code(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_masks_can_be_taken_from_python(
    reader: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, *_ = code("python")
    monkeypatch.chdir(reader(text))
    exec(text, {})  # our own example
    assert len(capsys.readouterr().out.splitlines()) == 24  # frames


def test_the_mask_of_some_classes_and_its_certainty(
    reader: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, classes, certainty = code("python")
    monkeypatch.chdir(reader(classes + certainty))
    found: dict[str, object] = {}
    exec(classes, found)  # our own example, as the next one
    assert set(found["only"].ravel()) <= {*found["wanted"], 255}
    assert (found["mask"] == found["only"]).any()
    exec(certainty, found)
    assert found["best"].shape == (24, 32)
    assert found["best"].min() > 1 / 11
    assert found["best"].max() <= 1


def test_the_dockerfile_names_what_there_is() -> None:
    (text,) = code("dockerfile")
    (extras,) = re.findall(r"/src\[(.*?)\]", text)
    assert set(extras.split(",")) <= EXTRAS.keys()
    assert (ROOT / "constraints.txt").exists()
    (arguments,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    check_usage(json.loads(arguments), list_commands())


def test_the_unit_for_systemd_can_be_adapted_as_the_page_says() -> None:
    unit = (ROOT / "docs" / "edgeseg.service").read_text("utf-8")
    (command,) = re.findall(r"^ExecStart=\S+/edgeseg (.*)$", unit, re.MULTILINE)
    check_usage(command.replace("street", "current").split(), list_commands())
