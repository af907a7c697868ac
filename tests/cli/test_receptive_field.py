"""`edgeseg inspect --receptive-field`: the picture, the table, and what is refused before it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from forms import write_plain

from edgeseg.bundle.store import Bundle
from edgeseg.cli.answers import receptive_field
from edgeseg.segformer.form import FORMS
from edgeseg.segformer.receptive_field import PARTS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Three images, and nothing that reads their masks."""
    return write_plain(tmp_path / "scenes")


def test_the_picture_the_table_and_the_object(
    edgeseg, checkpoint_folder: Path, scenes: Path
) -> None:
    args = ("inspect", checkpoint_folder, "--receptive-field", "f.svg", "--data", scenes)
    done = edgeseg(*args, "--json")
    assert done.status == 0, done.err
    found = done.json["receptive_field"]
    assert (found["data"], found["split"], found["images"]) == ("scenes", None, 3)
    assert list(found["forms"]) == list(FORMS)
    assert all(list(parts) == list(PARTS) for parts in found["forms"].values())
    assert done.json["layout"]  # what it says without a picture, too
    lines = done.err.splitlines()
    assert "receptive field of 3 of 3 images (scenes) at 96x128 (height x width)" in lines
    for form, parts in found["forms"].items():
        sides = [f"{part['side_50_px']} / {part['side_95_px']}" for part in parts.values()]
        assert [form, *" ".join(sides).split()] in [line.split() for line in lines]
    # Of 96x128 pixels, 79x79 around the center are the first to be half, 96x123 to be 95 %.
    assert found["even"]["head"] == {"side_50_px": 79, "side_95_px": 123}
    assert lines[-2].split()[-3:] == ["79", "/", "123"]
    assert lines[-1] == "picture written: f.svg"
    picture = ET.parse("f.svg").getroot()
    title = next(picture.iter(f"{SVG}title")).text or ""
    assert title.startswith("Effective receptive field of ")
    assert title.endswith(": 3 of 3 images (scenes) at 96x128 (height x width)")
    text = Path("f.svg").read_text("utf-8")
    again = edgeseg(*args)
    assert (again.status, again.out) == (0, "")
    assert Path("f.svg").read_text("utf-8") == text


def test_of_many_images_some_are_taken_evenly(
    edgeseg, checkpoint_folder: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receptive_field, "IMAGES", 1)
    args = ("inspect", checkpoint_folder, "--receptive-field", "f.svg", "--data", scenes)
    done = edgeseg(*args, "--json")
    assert done.json["receptive_field"]["images"] == 1
    assert "receptive field of 1 of 3 images (scenes)" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["b0", "--receptive-field", "f.svg", "--data", "demo"],
            "b0 is a model size; give one, or `demo`",
        ),
        (["demo", "--receptive-field", "f.svg"], "needs images; add --data DATASET"),
        (["demo", "--receptive-field", "f.png", "--data", "demo"], "name an .svg file"),
        (["demo", "--data", "demo"], "--data is for a picture of receptive fields; add --recep"),
        (["demo", "--split", "test"], "--split is for a picture of receptive fields"),
        (["demo", "--range", "0,4095"], "--range is for a picture of receptive fields"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_in_one_line(edgeseg, words: list[str], says: str) -> None:
    done = edgeseg("inspect", *words)
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert says in line
    assert not list(Path.cwd().iterdir())


def test_a_bundle_is_no_checkpoint(edgeseg, seeded_bundle: Bundle) -> None:
    done = edgeseg("inspect", seeded_bundle.folder, "--receptive-field", "f.svg", "--data", "demo")
    assert done.status == 2
    assert "is a bundle; give one, or `demo`" in done.err


def test_only_its_own_picture_is_replaced_and_only_in_a_folder_that_is_there(
    edgeseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read before: no data set of this name is there."""
    monkeypatch.setattr(receptive_field, "answer_fields", None)
    Path("own.svg").write_text("<svg/>")
    Path("folder.svg").mkdir()
    for name, says in {
        "own.svg": "is no picture of edgeseg inspect; choose another name",
        "folder.svg": "is a folder; name a file in it",
        "away/f.svg": "lies in a folder that is not there; make away first",
    }.items():
        done = edgeseg("inspect", "gone.pth", "--receptive-field", name, "--data", "gone")
        assert (done.status, done.err) == (1, f"edgeseg: {name} {says}\n")
    assert Path("own.svg").read_text() == "<svg/>"


def test_a_folder_that_takes_no_file_is_told_before_the_work(
    edgeseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux lets nobody make a file in /proc/self, root neither."""
    monkeypatch.setattr(receptive_field, "answer_fields", None)
    names = [f"{'x' * 300}.svg"]
    names += ["/proc/self/f.svg"] if Path("/proc/self").is_dir() else []
    for name in names:
        done = edgeseg("inspect", "gone.pth", "--receptive-field", name, "--data", "gone")
        assert done.status == 1
        (line,) = done.err.splitlines()
        assert line.startswith(f"edgeseg: {name} cannot be written: ")
        assert line.endswith("; choose another")
    assert not list(Path.cwd().iterdir())


def test_a_failure_on_the_way_leaves_no_file(
    edgeseg, checkpoint_folder: Path, scenes: Path, tmp_path: Path
) -> None:
    for image in (scenes / "images").iterdir():
        image.write_bytes(b"no image")
    before = sorted(tmp_path.iterdir())
    done = edgeseg("inspect", checkpoint_folder, "--receptive-field", "f.svg", "--data", scenes)
    assert done.status == 1
    assert "street0" in done.err.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before
