"""The page of running: its Python for scores and chosen classes does what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import ROOT

if TYPE_CHECKING:
    import pytest

PAGE = (ROOT / "docs" / "runtime.md").read_text("utf-8")


def test_scores_and_classes_from_python(
    reader: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (text,) = (block for block in found if "scores=True" in block)
    folder = reader(text)
    monkeypatch.chdir(folder)
    exec(text, {})  # our own example
    assert len(capsys.readouterr().out.splitlines()) == 24  # frames
    assert len(list((folder / "masks-scores").glob("*.png"))) == 24
    legend = (folder / "masks" / "legend.json").read_text("utf-8")
    assert {"Road", "background"} == set(re.findall(r'"name": "(.*?)"', legend))
    assert '"ignore": {"id": 255' in legend
