"""`edgeseg run` on files: its outputs, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import av
import cv2
import pytest
import web

from edgeseg.bundle.store import Bundle
from edgeseg.cli.main import _fill_in_address
from edgeseg.demo import draw_scene


def test_run_on_a_video(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    args = ["--save", "o.mp4", "--masks", "m", "--jsonl", "o.jsonl", "--json"]
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip, *args)
    assert outcome.status == 0
    assert outcome.json["frames"] == 6
    expected = {
        "frames",
        "fps",
        "latency_ms",
        "frame_age_ms",
        "dropped",
        "skipped",
        "reused",
        "failed",
        "last_failure",
        "lost",
        "stages_ms",
        "backend",
    }
    assert set(outcome.json) == expected | {"precision", "miou"}
    assert outcome.json["miou"] is None
    assert len(list(Path("m").glob("*.png"))) == 6
    assert len(Path("o.jsonl").read_text().splitlines()) == 6
    assert "written: o.mp4" in outcome.err
    assert sorted(p.name for p in Path().iterdir()) == ["clip.avi", "m", "o.jsonl", "o.mp4"]


def test_run_twice_with_the_same_outputs(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    for _ in range(2):
        args = ["--save", "o.mp4", "--masks", "m", "--frames", 2]
        assert edgeseg("run", seeded_bundle.folder, "--source", clip, *args).status == 0
    assert sorted(p.name for p in Path().iterdir()) == ["clip.avi", "m", "o.mp4"]


def test_json_lines_on_stdout(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip, "--jsonl", "-", "--frames", 3)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]


def test_the_only_bundle_in_the_working_folder_is_found(edgeseg, seeded_bundle: Bundle) -> None:
    shutil.copytree(seeded_bundle.folder, "one")
    assert edgeseg("run", "--source", "demo", "--frames", 1).status == 0
    shutil.copytree(seeded_bundle.folder, "two")
    outcome = edgeseg("run", "--source", "demo", "--frames", 1)
    assert outcome.status == 1
    assert "several: one, two; name one" in outcome.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--source", "clip.avi", "--jsonl", "clip.avi"], "lies where clip.avi is read from"),
        (["--source", "f/a.png", "--masks", "f"], "lies where f/a.png is read from"),
        (["--source", "f", "--save", "f/a.png"], "lies where f is read from"),
        (["--source", "f", "--masks", "f"], "lies where f is read from"),
        (["--source", "f", "--save", "o.png", "--jsonl", "o.png"], "is named for two outputs"),
        (["--source", "f", "--jsonl", "/dev/null"], "is a device"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_outputs_never_replace_what_is_not_theirs(
    edgeseg, seeded_bundle: Bundle, clip: Path, args: list[str], says: str
) -> None:
    Path("f").mkdir()
    cv2.imwrite("f/a.png", draw_scene(1, 0, height=64, width=64).image)
    before = {path: path.read_bytes() for path in (clip, Path("f/a.png"))}
    outcome = edgeseg("run", seeded_bundle.folder, *args)
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert says in outcome.err
    assert {path: path.read_bytes() for path in before} == before
    assert Path("/dev/null").is_char_device()


def test_a_video_that_ends_early_is_mentioned(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip)
    assert "it says that it lasts 0.6 s: is it whole?" in outcome.err


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:secret@127.0.0.1:9/x", "rtsp://***@127.0.0.1:9/x"),
        ("rtsps://me:secret@127.0.0.1:9/x", "rtsps://***@127.0.0.1:9/x"),
        ("rtmp://127.0.0.1:9/live/secret-1", "rtmp://127.0.0.1:9/live/***"),
        ("RTMPS://127.0.0.1:9/live/secret-1", "rtmps://127.0.0.1:9/live/***"),
        (
            "srt://127.0.0.1:9?passphrase=secret1234&streamid=read:secret",
            "srt://127.0.0.1:9?passphrase=***&streamid=***",
        ),
        ("tcp://me:secret@127.0.0.1:9", "tcp://***@127.0.0.1:9"),
        ("https://127.0.0.1:9/x?token=secret", "https://127.0.0.1:9/x?token=***"),
        ("nope://me:secret@127.0.0.1:9/x", "nope:// is no scheme of a source"),
    ],
)
def test_a_password_is_not_shown(edgeseg, seeded_bundle: Bundle, address: str, shown: str) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", address)
    assert outcome.status == 1
    assert shown in outcome.err
    assert "secret" not in outcome.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "give one of"),
        (["--camera", "0", "--source", "cars.toml"], "cars.toml names all sources"),
        (["--camera", "video0"], "--camera takes a whole number, or a device"),
        (["--source", "demo", "--camera-size", "720x1280"], "need a camera; give --camera"),
        (["--camera", "0", "--camera-size", "big"], "HEIGHTxWIDTH"),
    ],
)
def test_sources_that_do_not_go_together(edgeseg, args: list[str], says: str) -> None:
    outcome = edgeseg("run", *args)
    assert outcome.status == 2
    assert says in " ".join(outcome.err.split())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--camera 9", "9"),
        ("--camera /dev/v4l/by-id/usb-x", "/dev/v4l/by-id/usb-x"),
        ("--source 9", "9"),
        ("--source /dev/video9 --camera-size 720x1280", "/dev/video9"),
    ],
)
def test_a_missing_camera(edgeseg, seeded_bundle: Bundle, words: str, named: str) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, *words.split(), "--save", "o.mp4")
    assert outcome.status == 1
    assert f"camera {named} cannot be opened" in outcome.err
    assert list(Path().iterdir()) == []


def test_images_to_calibrate_on_from_a_camera(edgeseg) -> None:
    assert "camera 9 cannot be opened" in edgeseg("calibrate", "9", "-o", "c").err
    assert list(Path().iterdir()) == []


def test_a_file_by_its_address_is_not_written_over(edgeseg, seeded_bundle: Bundle) -> None:
    picture = (seeded_bundle.folder / "golden" / "frame_0.png").read_bytes()
    Path("a b.png").write_bytes(picture)
    address = f"file://{Path.cwd()}/a%20b.png"
    refused = edgeseg("run", seeded_bundle.folder, "--source", address, "--save", "a b.png")
    assert refused.status == 1
    assert "is read from; write somewhere else" in refused.err
    assert Path("a b.png").read_bytes() == picture
    outcome = edgeseg("run", seeded_bundle.folder, "--source", address, "--save", "o.png")
    assert outcome.status == 0, outcome.err


def test_a_file_that_breaks_off_leaves_nothing(edgeseg, seeded_bundle: Bundle) -> None:
    Path("frames").mkdir()
    cv2.imwrite("frames/a.png", draw_scene(1, 0, height=64, width=64).image)
    Path("frames/b.png").write_bytes(b"broken")
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "frames", "--masks", "m", "--save", "o.mp4"
    )
    assert outcome.status == 1
    assert "frames/b.png cannot be read as an image" in outcome.err
    assert [p.name for p in Path().iterdir()] == ["frames"]


def test_a_video_on_a_web_server_is_a_file(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    """It has an end, loses no frame, and is not sought again."""
    clip.rename(clip.with_name("served.avi"))
    serve = partial(SimpleHTTPRequestHandler, directory=str(clip.parent))
    with web.serving(serve) as port:
        url = f"http://127.0.0.1:{port}/served.avi?from=here"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", url, "--json")
    assert outcome.status == 0
    assert (outcome.json["frames"], outcome.json["dropped"]) == (6, 0)


def test_a_run_with_a_preview(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "demo", "--frames", 3, "--preview", "0"
    )
    assert outcome.status == 0
    assert re.search(r"preview: http://127\.0\.0\.1:\d+/\n", outcome.err)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["--preview"], ["--preview=127.0.0.1:8008"]),
        (["--preview", "--json"], ["--preview=127.0.0.1:8008", "--json"]),
        (["--preview", "street"], ["--preview=127.0.0.1:8008", "street"]),
        (["--preview", "0.0.0.0:80"], ["--preview", "0.0.0.0:80"]),
        (["--preview", "0.0.0.0"], ["--preview", "0.0.0.0"]),  # refused: it has no port
        (["--preview", "8000", "--json"], ["--preview", "8000", "--json"]),
    ],
)
def test_preview_alone_means_the_usual_address(given: list[str], taken: list[str]) -> None:
    assert _fill_in_address([]) == []
    assert _fill_in_address(["run", *given]) == ["run", *taken]


def test_a_preview_for_others_needs_a_token(edgeseg, seeded_bundle: Bundle) -> None:
    where = ("run", seeded_bundle.folder, "--source", "demo", "--preview", "0.0.0.0:0")
    outcome = edgeseg(*where)
    assert outcome.status == 2
    assert "--preview-token" in outcome.err
    assert edgeseg(*where, "--preview-token", "t", "--frames", 1).status == 2
    assert edgeseg(*where, "--preview-token", "long enough", "--frames", 1).status == 0


def test_a_token_without_a_preview_is_refused_but_not_one_of_the_environment(
    edgeseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = edgeseg("run", "--source", "demo", "--frames", 1, "--preview-token", "0123456789")
    assert outcome.status == 2
    assert outcome.err == "edgeseg: --preview-token needs --preview; add --preview\n"
    monkeypatch.setenv("EDGESEG_PREVIEW_TOKEN", "0123456789")
    assert edgeseg("run", "--source", "demo", "--frames", 1).status == 0


def test_without_a_bundle_the_demos_runs_and_tells_its_miou(edgeseg) -> None:
    outcome = edgeseg("run", "--source", "demo", "--frames", "3", "--json")
    assert outcome.status == 0
    assert "the packaged demo bundle" in outcome.err
    assert re.search(r"mIoU \d+\.\d+ against the source's ground truth", outcome.err)
    assert outcome.json["miou"] > 50


def test_other_classes_than_the_sources_have_no_miou(
    edgeseg, tmp_path: Path, checkpoint_folder: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"thing {index}" for index in range(11)))
    args = ["--weights", checkpoint_folder, "--labels", names, "--precision", "fp32", "-o", "b"]
    assert edgeseg("export", *args).status == 0
    outcome = edgeseg("run", "b", "--source", "demo", "--frames", "2", "--json")
    assert outcome.json["miou"] is None
    assert "mIoU" not in outcome.err


def test_a_clip_is_thinned_and_its_overlay_keeps_the_times(edgeseg, seeded_bundle: Bundle) -> None:
    Path("frames").mkdir()
    for index in range(9):
        image = draw_scene(index, 0, height=48, width=64).image
        cv2.imwrite(f"frames/{index:02d}.png", image)
    args = ["--source", "frames/%02d.png", "--fps", 4, "--jsonl", "o.jsonl", "--save", "o.mp4"]
    outcome = edgeseg("run", seeded_bundle.folder, *args, "--max-age", 1, "--json")
    assert "--max-age has no effect" in outcome.err
    assert "frames/%02d.png: 4 of 10 frames a second are segmented (--fps)" in outcome.err
    assert "0 dropped, 5 skipped" in outcome.err
    assert (outcome.json["frames"], outcome.json["skipped"]) == (4, 5)
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == [0, 2, 5, 7]
    with av.open("o.mp4") as saved:
        times = [float(frame.time) for frame in saved.decode(video=0)]
    assert times == pytest.approx([line["time_s"] for line in lines], abs=1e-3)


def test_a_pace_that_is_none_is_wrong_usage(edgeseg, seeded_bundle: Bundle) -> None:
    for option in ("--fps", "--max-age"):
        outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", option, 0)
        assert outcome.status == 2
        assert f"{option} is a finite number above 0; got 0" in outcome.err


def test_frames_that_repeat_are_reused_and_counted(edgeseg, seeded_bundle: Bundle) -> None:
    Path("still").mkdir()
    for index, scene in enumerate((0, 0, 0, 1)):
        cv2.imwrite(f"still/{index}.png", draw_scene(scene, 0, height=48, width=64).image)
    args = ["--source", "still", "--jsonl", "o.jsonl", "--json"]
    for way in ("exact", "gated", "gated=2"):
        outcome = edgeseg("run", seeded_bundle.folder, *args, "--reuse", way)
        assert (outcome.json["frames"], outcome.json["reused"]) == (4, 2)
        assert "0 dropped, 2 reused" in outcome.err
        lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
        assert [line.get("reused") for line in lines] == [None, True, True, None]
        assert lines[0]["shares"] == lines[1]["shares"] == lines[2]["shares"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ["--reuse", "gate"],
            "--reuse takes exact, gated or gated=FACTOR, as gated=1.5",
        ),
        (["--reuse", "gated=0"], "the factor of a gate is a number above 0; got 0"),
        (["--reuse", "gated", "--tile"], "leave out --reuse gated or --tile"),
    ],
)
def test_ways_to_reuse_that_there_are_not(
    edgeseg, seeded_bundle: Bundle, args: list[str], told: str
) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", *args)
    assert outcome.status == 2
    assert told in outcome.err
