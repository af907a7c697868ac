"""A budget that is too small for INT8: one line and one error name it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.cli import progress as progress_module


@pytest.fixture
def arguments(
    tmp_path: Path, checkpoint_folder: Path, street: Path, monkeypatch: pytest.MonkeyPatch
) -> list[object]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = ["--data", street, "--split", "test", "--calibration", street / "train" / "images"]
    return ["--weights", checkpoint_folder, *images, "--max-drop", 60, "-o", "b"]


def test_a_budget_too_small_for_int8_is_the_only_cause_and_no_missed_gate(
    edgeseg, arguments: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_FIRST_LINE_S", 0.0)
    monkeypatch.setattr(progress_module, "_TICK_S", 0.001)
    outcome = edgeseg("export", *arguments, "--int8", "--budget", 0)
    assert (outcome.status, outcome.out) == (1, "")
    assert not Path("b").exists()
    assert "give --calibration" not in outcome.err
    *told, error = outcome.err.strip().splitlines()
    assert "nothing in int8 was tried: " in error
    assert "0:00 minutes of --budget passed" in error
    forms, recipes = (line for line in told if "budget used up" in line)
    assert "merge-queries-keys12 were not tried: " in forms
    assert "int8-linear" in recipes
    assert "were not tried: " in recipes
    assert "left to try more" not in outcome.err
    for phase in ("reading the checkpoint", "comparing with PyTorch", "measuring fp32"):
        assert f"\n{phase}: " in f"\n{outcome.err}"
