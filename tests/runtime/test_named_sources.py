"""What may be named as a source, and what several of them may not share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

import edgeseg as library
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import EdgesegError, SourceError, SpecError
from edgeseg.runtime.request import RunRequest
from edgeseg.runtime.sinks.outputs import Outputs
from edgeseg.runtime.sources.named import name_sources, read_source_file

if TYPE_CHECKING:
    from outcome import Outcome


@pytest.mark.parametrize(
    "names", [["-", "-"], ["-", "/dev/stdin"], ["demo", "file:///dev/stdin", "/dev/fd/0"]]
)
def test_standard_input_has_one_reader(
    edgeseg: Callable[..., Outcome], tmp_path: Path, names: list[str]
) -> None:
    (tmp_path / "s.toml").write_text(
        "[sources]\n" + "".join(f's{at} = "{uri}"\n' for at, uri in enumerate(names))
    )
    given = [word for name in names for word in ("--source", name)]
    for words in (given, ["--source", "s.toml"]):
        outcome = edgeseg("run", *words)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert "standard input is named twice, for " in outcome.err
    with pytest.raises(SpecError, match="standard input is named twice"):
        RunRequest(sources=name_sources(names))


def test_a_named_pipe_has_one_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with pytest.raises(SpecError, match="/fifo is named twice, for fifo and fifo-2"):
        RunRequest(sources=name_sources(["fifo", str(tmp_path / "fifo")]))
    RunRequest(sources=name_sources(["fifo", "demo", "demo"]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("front = 3", "does not name sources"),
        ("[sources]", "does not name sources"),
        ("[sources]\nfront = true", "neither a text nor a number"),
        ("[sources", "is not TOML"),
        (
            "front = 3\n[sources]\nrear = 0",
            "holds front beside .sources., which means nothing",
        ),
        ("[sources]\nfront = 0\n[more]\nx = 1\n[most]", "holds more and most beside .sources."),
        ('[sources]\nfront = ""', "front is empty; write .sources., with a line such as"),
    ],
)
def test_a_file_that_names_no_sources_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(text)
    with pytest.raises(SourceError, match=says):
        read_source_file(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_source_file(tmp_path / "none.toml")


@pytest.mark.parametrize("option", ["source", "masks", "save", "jsonl", "bundle"])
def test_an_empty_path_is_not_the_working_folder(option: str) -> None:
    given = {"source": "demo", option: ""}
    with pytest.raises(EdgesegError, match=f"{option} is empty"):
        library.run(**given, frames=1)  # type: ignore[arg-type]


def test_an_empty_bundle_or_data_set_is_refused_in_python() -> None:
    for call in (
        lambda: library.open(""),
        lambda: library.verify("", data="demo"),
        lambda: library.verify("x", data=""),
        lambda: library.export_model("x", output=""),
    ):
        with pytest.raises(SpecError, match="is empty; is a variable not set"):
            call()


def test_a_single_source_keeps_the_name_that_it_was_given(
    edgeseg: Callable[..., Outcome], seeded_bundle: Bundle, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), draw_scene(0, 0, height=48, width=64).image)
    (tmp_path / "s.toml").write_text('[sources]\nfront = "a.png"\n')
    outcome = edgeseg(
        *("run", seeded_bundle.folder, "--source", "s.toml", "--masks", "o", "--jsonl", "-"),
    )
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "o" / "front" / "a.png").exists()
    assert json.loads(outcome.out)["source"] == "front"
    assert "source front (" in outcome.err
    told = edgeseg("run", seeded_bundle.folder, "--source", "s.toml", "--json").json
    assert told["sources"]["front"]["frames"] == told["frames"] == 1
    result = library.run(seeded_bundle.folder, source={"left": "a.png"}, masks="p")
    assert result.written == (tmp_path / "p" / "left",)
    plain = edgeseg("run", seeded_bundle.folder, "--source", "a.png", "--masks", "q", "--json")
    assert (tmp_path / "q" / "a.png").exists()
    assert "sources" not in plain.json


def test_a_single_named_source_can_be_restreamed_without_a_path() -> None:
    """Only several need an address that their names extend."""
    outputs = Outputs(restream="udp://127.0.0.1:9", jsonl="lines")
    request = RunRequest(sources=name_sources({"front": "demo"}), outputs=outputs)
    chosen = request.choose_outputs("front")
    assert (chosen.restream, chosen.jsonl) == ("udp://127.0.0.1:9", "front/lines")
    with pytest.raises(SpecError, match="udp"):
        RunRequest(sources=name_sources(["demo", "demo"]), outputs=outputs)


def test_stream_takes_one_source(seeded_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[sources]\na = "demo"\n')
    with library.open(seeded_bundle.folder) as segmenter:
        for several in (["a.mp4", "b.mp4"], {"front": 0}, (0, 1)):
            with pytest.raises(SpecError, match=r"several go to edgeseg.run\(source=\[...\]\)"):
                next(segmenter.stream(several))  # type: ignore[arg-type]
        with pytest.raises(SourceError, match=r"names sources, and one source is taken here; .*"):
            next(segmenter.stream(path))


def test_commands_of_one_source_say_so(edgeseg: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[sources]\na = "demo"\n')
    outcome = edgeseg("calibrate", "s.toml", "-o", "x", "--images", "3")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "s.toml names sources, and one source is taken here" in outcome.err
