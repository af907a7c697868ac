"""Outputs into mount points, as a USB drive's root or a container's volume."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import pytest
from outputs import Opened, result

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.files.mounts import is_mount_point
from edgeseg.runtime.sinks.masks import MaskFiles
from edgeseg.runtime.sinks.outputs import Outputs
from edgeseg.runtime.sinks.partial import name_partial, reserve


@pytest.fixture
def bind() -> Iterator[object]:
    """Mounts a file or folder at another place of the same file system."""
    with ExitStack() as mounts:

        def mount(what: Path, where: Path) -> None:
            command = ["mount", "--bind", str(what), str(where)]
            if subprocess.run(command, check=False, capture_output=True).returncode:
                pytest.skip("mounting needs root")
            mounts.callback(subprocess.run, ["umount", "--lazy", str(where)], check=True)

        yield mount


@pytest.fixture
def bound(tmp_path: Path, bind) -> Path:
    """A mounted folder, whose name the system's table of mounts escapes."""
    folder = tmp_path / "a volume"
    folder.mkdir()
    (tmp_path / "kept").mkdir()
    bind(tmp_path / "kept", folder)
    return folder


@pytest.fixture(params=["small_disk", "bound"])
def disk(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def list_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_mount_point_is_told(disk: Path) -> None:
    (disk / "folder").mkdir()
    assert is_mount_point(disk)
    assert not is_mount_point(disk.parent)
    assert not is_mount_point(disk / "folder")
    assert not is_mount_point(disk / "none")
    assert is_mount_point(Path("/"))


def test_masks_and_scores_fill_a_mount_point(edgeseg, seeded_bundle: Bundle, disk: Path) -> None:
    """By a link, too; nothing gathers beside the mount point, on another disk."""
    link = disk.with_name("link")
    link.symlink_to(disk)
    around = sorted(disk.parent.iterdir())
    given = ("--frames", 2, "--masks", link, "--scores")
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", *given)
    assert outcome.status == 0, outcome.err
    scores = f"{disk.name}-scores"
    assert list_names(disk) == sorted(
        ["000000.png", "000001.png", "legend.json", scores]
        + [f"{scores}/00000{index}.png" for index in range(2)]
    )
    assert sorted(disk.parent.iterdir()) == around


def test_overlays_of_several_sources_fill_a_mount_point(
    edgeseg, seeded_bundle: Bundle, small_disk: Path
) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(name, draw_scene(1, 0, height=48, width=64).image)
    (small_disk / "a").mkdir()
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "a.png", "--source", "b.png"),
        *("--save", f"{small_disk}/"),
    )
    assert outcome.status == 0, outcome.err
    assert list_names(small_disk) == ["a", "a/a.png", "b", "b/b.png"]


def test_what_a_killed_run_left_in_a_mount_point_is_kept_aside(disk: Path) -> None:
    with Opened(Outputs(masks=MaskFiles(disk)), live=True) as fan:
        fan.write(result(0))
        assert list_names(disk) == [f"{disk.name}.partial", f"{disk.name}.partial/000000.png"]
        shutil.copytree(name_partial(disk), disk / "copy")
    (disk / "copy").rename(name_partial(disk))
    said: list[str] = []
    with reserve(disk, disk, say=said.append):
        assert (disk / f"{disk.name}.partial-1" / "000000.png").exists()
    assert len(said) == 1


def test_a_file_that_is_mounted_alone_is_refused(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path, bind
) -> None:
    for name in ("kept.jsonl", "o.jsonl"):
        (tmp_path / name).touch()
    bind(tmp_path / "kept.jsonl", tmp_path / "o.jsonl")
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", "--jsonl", "o.jsonl")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "o.jsonl is mounted alone" in outcome.err


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_masks_that_cannot_be_moved_in_the_end_stay(tmp_path: Path, live: bool) -> None:
    opened = Opened(Outputs(masks=MaskFiles(tmp_path / "m")), live=live)
    with opened as fan:
        fan.write(result(0))
        (tmp_path / "m").write_text("mine")
    assert fan.failed == 1
    (line,) = opened.said
    assert line.endswith(f"; what there is stays in {tmp_path / 'm.partial'}")
    assert (tmp_path / "m.partial" / "000000.png").exists()
