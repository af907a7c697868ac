from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.verification import footprint


def peak(bundle: Bundle) -> float:
    return footprint.measure_peak_mb(bundle, bundle.chosen, height=120, width=160)


def first_in_child(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process runs as it starts."""
    (folder / "sitecustomize.py").write_text(code)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


def test_nothing_in_the_working_folder_is_executed(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "re", "edgeseg", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')\nraise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    assert 20 < peak(seeded_bundle) < 2000
    assert not list(tmp_path.rglob("executed"))


def test_a_bundle_is_found_by_a_relative_path(
    seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(seeded_bundle.folder)
    here = Bundle(folder=Path(), manifest=seeded_bundle.manifest)
    assert peak(here) > 20


def test_what_an_engine_prints_is_not_the_figure(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import atexit, os\nos.write(1, b'\\xff 1.0')\natexit.register(os.write, 1, b'2.0')\n"
    first_in_child(code, tmp_path, monkeypatch)
    assert peak(seeded_bundle) > 20


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os.kill(os.getpid(), 9)", r"ended by signal 9 \(Killed\); is there enough"),
        ("import os; os._exit(0)", "no message"),
        ("import os; os.write(2, b'one\\nno engine\\n'); os._exit(1)", "no engine"),
    ],
)
def test_a_process_that_tells_nothing_is_an_error(
    code: str, says: str, seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_in_child(code, tmp_path, monkeypatch)
    with pytest.raises(BackendError, match=rf"^the memory of \S+ could not be measured: .*{says}"):
        peak(seeded_bundle)


def test_a_process_that_does_not_end_is_ended(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_in_child("import time; time.sleep(60)", tmp_path, monkeypatch)
    monkeypatch.setattr(footprint, "_TIMEOUT_S", 1)
    with pytest.raises(BackendError, match="no end after 1 seconds"):
        peak(seeded_bundle)
