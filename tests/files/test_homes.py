"""`~` is the home folder where no shell replaces it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edgeseg
from edgeseg.bundle.store import Bundle
from edgeseg.files.homes import expand_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeded_bundle: Bundle) -> Path:
    folder = tmp_path / "home"
    shutil.copytree(seeded_bundle.folder, folder / "street")
    shutil.copy(folder / "street" / "golden" / "frame_0.png", folder / "one.png")
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["run", "~/street", "--source", "~/one.png", "--masks", "~/masks"],
        ["run", "~/street", "--source=~/one.png", "--masks=~/masks"],
    ],
    ids=["apart", "joined"],
)
def test_at_the_command_line(request, home: Path, words: list[str]) -> None:
    outcome = request.getfixturevalue("edgeseg")(*words)
    assert outcome.status == 0, outcome.err
    assert list((home / "masks").glob("*.png"))
    assert not Path("~").exists()


def test_in_python(home: Path) -> None:
    with edgeseg.open("~/street") as segmenter:
        assert len(list(segmenter.stream("~/one.png"))) == 1
    assert edgeseg.verify("~/street", report="~/report").passed
    assert (home / "report" / "report.json").exists()


def test_of_a_published_data_set(home: Path) -> None:
    assert expand_home("camvid:~/CamVid") == f"camvid:{home}/CamVid"
    assert expand_home("rtsp://~/1") == "rtsp://~/1"
    assert expand_home("a~b") == "a~b"
