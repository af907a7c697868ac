"""Whatever a command writes to, and whatever is there: nothing that it did not write is lost.

Each command, with each of its outputs, in each situation; all files are hashed before and after.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest
from small import write_street
from trees import hashes

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import ExportError

RUN = ("run", "b", "--frames", "1", "--source")
PARTIAL = ".edgeseg-partial"


@dataclass(frozen=True, kw_only=True)
class Output:
    """A command whose last words name its output; `reads` is what it reads.

    `names` is False where the command makes the name up. `inside` says where its lock lies, and
    `leaves` what a killed one leaves beside.
    """

    args: tuple[str, ...]
    target: str
    reads: str
    leaves: str | None
    names: bool = True
    inside: bool = False

    @property
    def command(self) -> str:
        return " ".join(word for word in self.args if word in self.args[:1] or word[0] == "-")


EXPORT = ("export", "--precision", "fp32", "--weights")
MADE_UP = "custom-onnxruntime-fp32"
SWEEP = ("sweep", "--precision", "fp32", "--weights", "ckpt", "--split", "test", "--data")
OUTPUTS = [
    Output(
        args=(*RUN, "clip.mp4", "--save"),
        target="o.mp4",
        reads="clip.mp4",
        leaves="o.partial.mp4",
    ),
    Output(
        args=(*RUN, "frames/*.png", "--save"),
        target="o.png",
        reads="frames/000000.png",
        leaves="o.partial.png",
    ),
    Output(args=(*RUN, "frames/*.png", "--masks"), target="m", reads="frames", leaves="m.partial"),
    Output(
        args=(*RUN, "clip.mp4", "--jsonl"),
        target="o.jsonl",
        reads="clip.mp4",
        leaves="o.partial.jsonl",
    ),
    Output(
        args=(*RUN, "frames/*.png", "--masks", "m2", "--save"),
        target="overlays/",
        reads="frames/",
        leaves="overlays.partial",
    ),
    Output(args=(*EXPORT, "ckpt", "-o"), target="out", reads="ckpt", leaves=f".out{PARTIAL}"),
    Output(
        args=(*EXPORT, "ckpt"),
        target=MADE_UP,
        reads="ckpt",
        leaves=f".{MADE_UP}{PARTIAL}",
        names=False,
    ),
    Output(
        args=("calibrate", "frames", "--images", "1", "-o"),
        target="c",
        reads="frames",
        leaves="c.partial",
    ),
    Output(args=(*SWEEP, "street", "-o"), target="s", reads="street", leaves=None, inside=True),
    Output(args=("verify", "b", "--report"), target="r", reads="b", leaves=None, inside=True),
]


def absent(_target: Path) -> None:
    """Nothing is there."""


def file(target: Path) -> None:
    target.write_text("years of work\n")


def empty_folder(target: Path) -> None:
    target.mkdir()


def foreign_folder(target: Path) -> None:
    """With names that edgeseg's own files have."""
    target.mkdir()
    names = ["manifest.json", "sweep.json", "sweep.md", "pareto.svg", "report.json", "report.html"]
    for name in [*names, "000000.png", "000001.png", "frame_000000.png", "notes.txt"]:
        (target / name).write_text('{"name": "mine"}')


def bundle(target: Path) -> None:
    """Of another model."""
    shutil.copytree(find_demo_bundle(), target)


SITUATIONS = [absent, file, empty_folder, foreign_folder, bundle]


@pytest.fixture(scope="module")
def street(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_street(tmp_path_factory.mktemp("data") / "street", seeded_bundle, train=1, test=2)


@pytest.fixture
def place(tmp_path: Path, seeded_bundle: Bundle, checkpoint_folder: Path, street: Path) -> Path:
    """A working folder with all that commands read, and somebody's own file."""
    shutil.copytree(seeded_bundle.folder, tmp_path / "b")
    shutil.copytree(checkpoint_folder, tmp_path / "ckpt")
    shutil.copytree(street, tmp_path / "street")
    (tmp_path / "frames").mkdir()
    for index in range(2):
        drawn = draw_scene(1, 9 * index, height=64, width=64).image
        cv2.imwrite(str(tmp_path / "frames" / f"{index:06d}.png"), drawn)
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48)
    )
    for index in range(3):
        writer.write(draw_scene(1, index, height=48, width=64).image)
    writer.release()
    (tmp_path / "thesis.tex").write_text("years of work\n")
    return tmp_path


@pytest.fixture
def stopped_after_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long, and comes when an output is decided on, is left out."""

    def stop(*_args: object, **_options: object) -> None:
        raise ExportError("stopped by the test")

    monkeypatch.setattr("edgeseg.deploy.export.write_graph", stop)
    monkeypatch.setattr("edgeseg.verification.verify.open_model", stop)
    monkeypatch.setattr("edgeseg.sweep.run._sweep_cells", stop)


def called(edgeseg, output: Output, target: str):
    outcome = edgeseg(*output.args, *([target] if output.names else []))
    assert "Traceback" not in outcome.err
    if outcome.status:
        assert outcome.status == 1
        assert outcome.err.splitlines()[-1].startswith("edgeseg: ")
    return outcome


def lost(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name, found in before.items() if after.get(name) != found]


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.command)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_nothing_else_is_lost(
    edgeseg, request: pytest.FixtureRequest, place: Path, situation, output: Output
) -> None:
    if situation in {file, empty_folder} or (situation is absent and not output.names):
        request.getfixturevalue("stopped_after_checks")
    situation(place / output.target)
    before = hashes(place)
    outcome = called(edgeseg, output, output.target)
    gone = lost(before, hashes(place))
    if situation is bundle and output.command == "export --precision --weights -o":
        assert outcome.status == 0
        assert f"the bundle in {output.target} is replaced: " in outcome.err
        gone = [name for name in gone if not name.startswith(f"{output.target}/")]
    assert gone == []
    if situation is absent and output.names:
        assert outcome.status == 0
        assert (place / output.target).exists()
        assert not list(place.glob(".*"))
    elif situation is file:
        assert output.target.rstrip("/") in outcome.err


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.command)
def test_what_is_read_is_not_lost(
    edgeseg, stopped_after_checks: None, place: Path, output: Output
) -> None:
    target = output.reads
    if not output.names:
        (place / output.reads).rename(place / output.target)
        target = output.target
        output = replace(output, args=(*output.args[:-1], target))
    before = hashes(place)
    outcome = called(edgeseg, output, target)
    assert outcome.status == 1
    assert "stopped by the test" not in outcome.err
    assert hashes(place) == before


@contextlib.contextmanager
def held(place: Path, output: Output) -> Iterator[None]:
    from edgeseg.files.locks import hold_lock, name_lock_beside, name_lock_in

    target = place / output.target
    with hold_lock((name_lock_in if output.inside else name_lock_beside)(target), output.target):
        leave(place, output)
        yield


def leave(place: Path, output: Output) -> None:
    """What a command has written when it is not done."""
    if output.leaves is None:
        return
    left = place / output.leaves
    if not left.suffix[1:] or left.suffix in {PARTIAL, ".partial"}:
        left.mkdir()
        left /= "0.png"
    left.write_text("half of an output")


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.command)
def test_a_living_one_is_named_and_left_alone(
    edgeseg, stopped_after_checks: None, place: Path, output: Output
) -> None:
    with held(place, output):
        before = hashes(place)
        outcome = called(edgeseg, output, output.target)
        assert outcome.status == 1
        assert f"is being written by process {os.getpid()}; " in outcome.err
        assert "stopped by the test" not in outcome.err
        assert hashes(place) == before


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.command)
def test_what_a_killed_one_left_is_no_obstacle(
    edgeseg, stopped_after_checks: None, place: Path, output: Output
) -> None:
    target = place / output.target
    if output.inside:
        target.mkdir()
    beside = place / f".{target.name}.edgeseg-lock"
    lock = target / ".edgeseg-lock" if output.inside else beside
    lock.write_text("99999999 here")
    leave(place, output)
    before = hashes(place)
    outcome = called(edgeseg, output, output.target)
    after = hashes(place)
    assert outcome.status == 0 or "stopped by the test" in outcome.err
    own = (lock.relative_to(place).as_posix(), output.leaves or "-")
    assert [name for name in lost(before, after) if not name.startswith(own)] == []
    assert not lock.exists()
    if output.args[0] != "export":  # half a bundle is of no use to anybody
        halves = [name for name, found in before.items() if name.startswith(output.leaves or "?")]
        assert {before[name] for name in halves} <= set(after.values())
