"""`edgeseg run` with several sources: names, folders, lines, summaries, and one that is absent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_clip

import edgeseg as library
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import EdgesegError, SpecError
from edgeseg.images import read_image
from edgeseg.runtime.sources.named import NamedSource, name_sources


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of images in the working folder: `left` with 3, `right` with 2."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("left", 3), ("right", 2)):
        (tmp_path / name).mkdir()
        for index in range(count):
            image = draw_scene(index, 0, height=48, width=64).image
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), image)
    return tmp_path


def test_files_of_each_source_go_into_a_folder_of_its_name(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "left", "--source", "right", "--json"),
        *("--masks", "masks", "--save", "saved/", "--jsonl", "lines/all.jsonl"),
    )
    assert outcome.status == 0, outcome.err
    for name, count in (("left", 3), ("right", 2)):
        assert len(list((folders / "masks" / name).glob("?.png"))) == count
        assert (folders / "masks" / name / "legend.json").exists()
        assert len(list((folders / "saved" / name).glob("?.png"))) == count
        lines = (folders / "lines" / name / "all.jsonl").read_text().splitlines()
        assert [json.loads(line)["source"] for line in lines] == [name] * count
    assert outcome.json["frames"] == 5
    assert {name: part["frames"] for name, part in outcome.json["sources"].items()} == {
        "left": 3,
        "right": 2,
    }
    assert "left: 3 frames" in outcome.err
    assert ": ended; its outputs are finished, and the other sources go on" in outcome.err
    again = edgeseg(
        "run", seeded_bundle.folder, "--source", "left", "--source", "right", "--jsonl", "-"
    )
    assert sorted(json.loads(line)["source"] for line in again.out.splitlines()) == [
        *["left"] * 3,
        *["right"] * 2,
    ]


def test_lines_about_what_a_killed_run_left_name_the_folders(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    for name in ("left", "right"):
        (folders / "o" / name).mkdir(parents=True)
        (folders / "o" / name / "x.partial.mp4").write_bytes(b"written by edgeseg run")
    given = "--source", "left", "--source", "right", "--save", "o/x.mp4"
    outcome = edgeseg("run", seeded_bundle.folder, *given)
    assert outcome.status == 0, outcome.err
    for name in ("left", "right"):
        assert f"what a killed run left is kept: o/{name}/x.partial-1.mp4\n" in outcome.err


def test_a_source_whose_last_output_fails_is_left(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    other = draw_scene(1, 0, height=32, width=32).image
    cv2.imwrite(str(folders / "left" / "1.png"), other)  # a recording has one size
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "left", "--source", "right", "--json"),
        *("--save", "saved/x.mp4"),
    )
    assert outcome.status == 1
    assert "\nedgeseg: left: saved/left/x.mp4 cannot take 1: it is 32x32" in outcome.err
    assert not (folders / "saved" / "left" / "x.mp4").exists()
    assert (folders / "saved" / "right" / "x.mp4").exists()
    assert outcome.json["sources"]["right"]["frames"] == 2


def test_doubts_about_a_source_carry_its_name(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    whole = write_clip(folders / "cut.avi", np.arange(9) / 30, codec="mjpeg", pix_fmt="yuvj420p")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "cut.avi", "--source", "left")
    (line,) = (line for line in outcome.err.splitlines() if "is it whole?" in line)
    assert line.startswith("cut: cut.avi ends ")


def test_an_output_of_one_source_may_not_lie_where_another_is_read(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    (folders / "right" / "left").mkdir()
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "left", "--source", "right", "--masks", "."
    )
    assert outcome.status == 1
    assert "left lies where left is read from" in outcome.err
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "left/0.png", "--source", "0/0.png"),
        *("--masks", "out"),
    )
    assert outcome.status == 1
    assert "no source at 0/0.png" in outcome.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--masks", "m", "--scores"], "a and a-scores would both write m/a-scores; rename one"),
        (["--save", "o/x.png", "--frames", "1"], "save a video (.mp4) or a folder of pictures"),
        (["--save", "a/x.mp4"], "somewhere else: each of several sources has a folder of its name"),
    ],
)
def test_outputs_that_several_sources_cannot_have(
    edgeseg, seeded_bundle: Bundle, folders: Path, given: list[str], says: str
) -> None:
    (folders / "s.toml").write_text('[sources]\na = "left"\na-scores = "right"\n')
    (folders / "a").mkdir()
    (folders / "left").rename(folders / "a" / "a")
    (folders / "left").symlink_to(folders / "a" / "a")
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "s.toml", *given)
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert says in outcome.err


def test_a_recording_may_not_go_on_in_what_another_source_reads(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    first = edgeseg("run", seeded_bundle.folder, "--source", "left", "--save", "left-o/x.002.mp4")
    assert first.status == 0, first.err
    (folders / "o").mkdir()
    (folders / "left-o").rename(folders / "o" / "left")
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "left", "--source", "o/left/x.002.mp4"),
        *("--save", "o/x.mp4"),
    )
    assert outcome.status == 1
    assert "o/left/x.002.mp4 is read, and o/left/x.mp4 goes on in such a file" in outcome.err


def test_a_file_names_sources(edgeseg, seeded_bundle: Bundle, folders: Path) -> None:
    (folders / "cars").mkdir()
    (folders / "cars" / "sources.toml").write_text(
        '[sources]\nfront = "../left"\nrear = "../right/0.png"\n'
    )
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "cars/sources.toml", "--json")
    assert outcome.status == 0, outcome.err
    assert {name: part["frames"] for name, part in outcome.json["sources"].items()} == {
        "front": 3,
        "rear": 1,
    }
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "cars/sources.toml", "--source", "left")
    )
    assert outcome.status == 2
    assert "names all sources" in outcome.err


def test_names_are_plain_words_that_hold_no_secret() -> None:
    named = name_sources(
        [0, "/data/my drive.mp4", "/other/my drive.mp4", "rtsp://user:secret@10.0.0.1/key", "demo"]
    )
    assert [one.name for one in named] == [
        *("camera-0", "my-drive", "my-drive-2", "stream", "demo"),
    ]
    assert [one.name for one in name_sources({"front": 0, "rear": "x.mp4"})] == ["front", "rear"]
    for wrong in ("../x", "", "a/b", "a b", "-x", 65 * "x"):
        with pytest.raises(SpecError, match="cannot name a source"):
            NamedSource("demo", wrong)
    assert [one.name for one in name_sources({1: "demo"})] == ["1"]  # type: ignore[dict-item]


def test_python_takes_several(seeded_bundle: Bundle, folders: Path) -> None:
    result = library.run(seeded_bundle.folder, source={"a": "left", "b": Path("right")}, masks="m")
    assert [(part.name, part.summary.frames) for part in result.parts] == [("a", 3), ("b", 2)]
    assert sorted(path.name for path in result.written) == ["a", "b"]


def test_python_takes_a_file_that_names_sources(seeded_bundle: Bundle, folders: Path) -> None:
    (folders / "sources.toml").write_text('[sources]\na = "left"\nb = "right"\n')
    result = library.run(seeded_bundle.folder, source=Path("sources.toml"))
    assert [(part.name, part.summary.frames) for part in result.parts] == [("a", 3), ("b", 2)]
    with pytest.raises(SpecError, match="names all sources"):
        library.run(seeded_bundle.folder, source=["left", "sources.toml"])


def test_python_takes_what_the_options_take(seeded_bundle: Bundle, folders: Path) -> None:
    names = list(seeded_bundle.manifest.labels.classes[:2])
    for chosen in (names, ",".join(names)):
        library.run(seeded_bundle.folder, source="left", classes=chosen, masks="m")
        legend = json.loads((folders / "m" / "legend.json").read_text())
        assert [one["name"] for one in legend["classes"]] == [*names, "background"]
    with library.open(seeded_bundle.folder) as segmenter:
        assert len(list(segmenter.stream(Path("left")))) == 3


def test_a_source_that_breaks_off_is_told_at_once(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    (folders / "left" / "1.png").write_bytes(b"no image")
    with pytest.raises(EdgesegError):  # what reads rare formats is imported now, which takes long
        read_image(folders / "left" / "1.png")
    for index in range(2, 24):
        shutil.copyfile(folders / "right" / "0.png", folders / "right" / f"{index}.png")
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "left", "--source", "right", "--jsonl", "o/j"
    )
    assert outcome.status == 1
    told = next(line for line in outcome.err.splitlines() if "go on" in line)
    assert " left: given up; its outputs are removed, for they would not be whole, and " in told
    (lost,) = (line for line in outcome.err.splitlines() if " left: left/1.png" in line)
    assert " left: left/1.png cannot be read as an image" in lost
    assert outcome.err.index(lost) < outcome.err.index(told)
    assert outcome.err.index(told) < outcome.err.index("left: 1 frame,")
    # Half a file's results would be taken for the whole; those of the other source are whole.
    assert not (folders / "o" / "left" / "j").exists()
    assert len((folders / "o" / "right" / "j").read_text().splitlines()) == 24


def test_an_absent_stream_is_waited_for_while_others_run(
    edgeseg, seeded_bundle: Bundle, folders: Path
) -> None:
    absent = "rtsp://127.0.0.1:9/none"
    outcome = edgeseg(
        *(
            "run",
            seeded_bundle.folder,
            "--source",
            "left",
            "--source",
            absent,
            "--max-retries",
            "1",
        ),
        *("--masks", "masks", "--json", "--save", "o/"),
    )
    assert outcome.status == 1
    for folder in ("masks", "o"):  # a source that gave nothing leaves no folder
        assert [path.name for path in (folders / folder).iterdir()] == ["left"]
    assert f"source left, stream ({absent})" in outcome.err
    assert f"stream: stream {absent} cannot be opened" in outcome.err
    assert "the run begins without it, and tries again" in outcome.err
    assert f" stream: {absent}: gives no frame yet" in outcome.err
    assert "stream: 0 frames, 0.0 a second, 0 dropped; changes midway" in outcome.err
    assert "frame age" not in outcome.err  # all frames are a file's
    assert outcome.json["sources"]["left"]["frames"] == 3
    assert outcome.json["sources"]["stream"]["lost"] is not None
    assert "?;" not in outcome.err
    assert len(list((folders / "masks" / "left").glob("?.png"))) == 3
    alone = edgeseg("run", seeded_bundle.folder, "--source", absent, "--source", f"{absent}2")
    assert alone.status == 1
    assert alone.err.count("cannot be opened") == 2


class _Screen:
    """Stands in for OpenCV's windows: somebody presses q in the first one that asks."""

    WINDOW_NORMAL = WINDOW_KEEPRATIO = WND_PROP_VISIBLE = 0
    error = RuntimeError

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.shown = 0

    def namedWindow(self, title: str, _flags: int) -> None:  # noqa: N802  # as OpenCV calls it
        self.open.add(title)

    def destroyWindow(self, title: str) -> None:  # noqa: N802  # as above
        self.open.remove(title)

    def imshow(self, _title: str, _image: object) -> None:
        self.shown += 1

    def waitKey(self, _ms: int) -> int:  # noqa: N802  # as above
        return ord("q")

    def getWindowProperty(self, _title: str, _which: int) -> float:  # noqa: N802  # as above
        return 1.0


def test_a_key_in_any_window_ends_the_run_of_all(
    seeded_bundle: Bundle, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = _Screen()
    monkeypatch.setattr("edgeseg.runtime.sinks.window.import_opencv", lambda _purpose: screen)
    monkeypatch.setattr("edgeseg.runtime.parts.explain_no_window", lambda: None)
    result = library.run(seeded_bundle.folder, source=["left", "right"], show=True)
    assert result.summary.frames == screen.shown == 1
    assert screen.open == set()


def test_the_help_names_the_table_of_a_file_of_sources(edgeseg) -> None:
    """Square brackets would be taken for markup, and not be shown."""
    shown = " ".join(edgeseg("run", "--help").out.replace("│", " ").split())
    assert "give a .toml file whose table `sources` names them" in shown
