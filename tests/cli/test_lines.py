"""Lines for people: counts, reasons, and the command to try next."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.text import explain, list_some, pluralize


@pytest.mark.parametrize(
    ("count", "what", "says"),
    [
        (0, "frame", "0 frames"),
        (1, "frame", "1 frame"),
        (2, "frame", "2 frames"),
        (1500, "image", "1,500 images"),
        (1, "class", "1 class"),
        (11, "class", "11 classes"),
    ],
)
def test_counts(count: int, what: str, says: str) -> None:
    assert pluralize(count, what) == says


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "f"), "No space left on device"),
        (ValueError("not a number"), "not a number"),
        (OSError("truncated"), "truncated"),
        (RecursionError(), "RecursionError"),
    ],
)
def test_the_reason_of_an_error(error: Exception, says: str) -> None:
    assert explain(error) == says


def test_a_file_that_cannot_be_read_is_told_without_a_number(edgeseg, tmp_path: Path) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "masks").mkdir()
    for part in ("images", "masks"):
        (tmp_path / "data" / part / "a.png").touch()
    (tmp_path / "data" / "dataset.json").mkdir()
    outcome = edgeseg("verify", find_demo_bundle(), "--data", "data")
    assert outcome.err == ("edgeseg: data/dataset.json cannot be read: Is a directory\n")


def test_one_frame(edgeseg, seeded_bundle: Bundle) -> None:
    lines = edgeseg("run", seeded_bundle.folder, "--source", "demo", "--frames", 1).err
    assert "\n1 frame, " in lines
    assert "frame age" not in lines  # a drawn frame waits for nobody


@pytest.fixture
def spaced(seeded_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle whose path needs quotes."""
    return Path(shutil.copytree(seeded_bundle.folder, tmp_path / "my street"))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["run", "my street", "--source", "demo", "--frames", "1"], "bench 'my street'"),
        (["bench", "my street", "--frames", "1"], "run 'my street' --source VIDEO"),
        (["build", "my street"], "run 'my street' --source VIDEO"),
        (["verify", "my street"], "run 'my street' --source VIDEO"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_next_command_can_be_pasted(
    edgeseg, spaced: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], command: str
) -> None:
    monkeypatch.setattr("edgeseg.cli.options.list_cameras", list)
    assert edgeseg(*words).err.splitlines()[-1] == f"next: edgeseg {command}"


def test_a_camera_is_proposed_where_there_is_one(
    edgeseg, spaced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.cli.options.list_cameras", lambda: [2, 4])
    assert edgeseg("verify", spaced).err.endswith("run '" + str(spaced) + "' --camera 2\n")


def test_nothing_is_proposed_after_an_output_failed(edgeseg, seeded_bundle: Bundle) -> None:
    Path("full").symlink_to("/dev/full")
    where = ["--source", "demo", "--frames", "9", "--jsonl", "full"]
    outcome = edgeseg("run", seeded_bundle.folder, *where)
    assert outcome.status == 1
    assert "next:" not in outcome.err


def test_bench_proposes_the_fastest_and_measures_each_alone(
    edgeseg, spaced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = edgeseg("bench", find_demo_bundle(), spaced, "--frames", 3, "--json")
    demo, seeded = outcome.json["results"]
    assert outcome.err.splitlines()[-1].startswith("next: edgeseg run '")
    assert seeded["peak_rss_mb"] + 10 < demo["peak_rss_mb"]  # 96x128 against 512x512
    assert " times as fast as the first; " in outcome.err


@pytest.mark.parametrize(
    ("words", "says"),
    [((), ""), (("a", "b"), "a, b"), (("a", "b", "c", "d"), "a, b and 2 more")],
)
def test_a_long_list_says_how_much_it_leaves_out(words: tuple[str, ...], says: str) -> None:
    assert list_some(words, 2) == says
