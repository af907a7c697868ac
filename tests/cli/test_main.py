"""The command line as its user meets it: exit status, one line on stderr, JSON on stdout."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import cv2
import pytest
import web
from rtsp import RtspServer
from small import write_street
from videos import frames_in

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.cli.main import _with_address
from edgeseg.demo import draw_scene

COMMANDS = ("export", "run", "verify", "bench", "build", "calibrate", "inspect", "doctor")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for index in range(6):
        writer.write(draw_scene(1, index, height=120, width=160).image)
    writer.release()
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(edgeseg, command: str) -> None:
    outcome = edgeseg(command, "--help")
    assert outcome.status == 0
    assert "Example: edgeseg " + command in outcome.out


def test_the_version(edgeseg) -> None:
    from edgeseg import __version__

    assert edgeseg("--version").out == f"edgeseg {__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ["fly"],
        ["export", "--target", "toaster"],
        ["export", "--model", "b6"],
        ["export", "--weights", "w", "--size", "512"],
        ["export", "--weights", "w", "--int8", "--fp16"],
        ["export", "--weights", "w", "--fp16"],
        ["export", "--weights", "w", "--split", "test"],
        ["export", "--weights", "w", "--fp16", "--recipe", "x", "--target", "openvino"],
        ["export", "--weights", "w", "--max-drop", "nan"],
        ["export", "--weights", "w", "--max-drop", "-1"],
        ["export", "--weights", "w", "--min-agreement", "101"],
        ["calibrate", "-o", "c"],
        ["calibrate", "clip.avi"],
        ["run"],
        ["run", "--camera", "0", "--source", "x"],
        ["run", "--source", "x", "--json", "--jsonl", "-"],
        ["run", "--source", "x", "--frames", "0"],
        ["verify"],
        ["verify", "b", "--reference", "w"],
        ["verify", "b", "--max-drop", "2"],
        ["verify", "b", "--protocol", "slide"],
        ["verify", "b", "--protocol", "best", "--data", "d"],
        ["verify", "b", "--strict"],
        ["verify", "b", "--baseline", "r.json"],
        ["verify", "b", "--data", "d", "--max-regression", "1"],
        ["verify", "b", "--data", "d", "--max-drop", "101"],
        ["verify", "b", "--data", "d", "--max-size-mb", "0"],
        ["verify", "b", "--data", "d", "--short-sides", "512,wide"],
        ["verify", "b", "--data", "d", "--short-sides", "12"],
        ["bench"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(edgeseg, args: list[str]) -> None:
    outcome = edgeseg(*args)
    assert (outcome.status, outcome.out) == (2, "")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["export"], "no weights given"),
        (["export", "--model", "b3"], "brings weights for b0 only; for b3 add --weights"),
        (["export", "--weights", "missing.pth"], "no checkpoint at missing.pth"),
        (["run", "missing", "--source", "demo"], "no bundle at missing; is the name right?"),
        (
            ["verify", "missing"],
            "at missing; is the name right? A checkpoint becomes a bundle",
        ),
        (["bench", "missing"], "no bundle at missing"),
        (["build", "missing"], "no bundle at missing"),
        (["calibrate", "missing.mp4", "-o", "c"], "no source at missing.mp4"),
        (["export", "--weights", "w", "--int8"], "INT8 needs images to calibrate on"),
        (["export", "--weights", "w", "--data", "missing"], "data set missing is not a folder"),
        (["inspect", "missing.pth"], "no checkpoint at missing.pth"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_expected_failure_is_status_1_and_one_line(edgeseg, args: list[str], says: str) -> None:
    outcome = edgeseg(*args)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith("edgeseg: ")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_export_prints_the_promised_json(edgeseg, checkpoint_folder: Path) -> None:
    outcome = edgeseg("export", "--weights", checkpoint_folder, "--model", "b0", "--json")
    assert outcome.status == 0
    assert "license of the weights: unknown" in outcome.err
    assert "next: edgeseg run b0-onnxruntime-fp32" in outcome.err
    content = outcome.json
    assert open_bundle(Path(content["bundle"])).manifest.target == "onnxruntime"
    assert content["bundle"] == "b0-onnxruntime-fp32"
    assert content["chosen"] == {"variant": "fp32", "precision": "fp32", "file": "model.onnx"}
    assert content["parity"]["max_abs_diff"] < 1e-3
    keys = {"bundle", "target", "chosen", "reason", "variants", "parity", "calibration"}
    assert set(content) == keys


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


def test_a_package_that_seems_missing_after_a_signal_is_no_news(
    edgeseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is imported when SIGTERM comes fails, and is taken for absent."""
    monkeypatch.setattr("edgeseg.cli.main._signals", [int(signal.SIGTERM)])
    outcome = edgeseg("inspect", "nothing.pth")
    assert (outcome.status, outcome.err) == (128 + signal.SIGTERM, "")


def test_a_video_that_ends_early_is_mentioned(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip)
    assert "it says that it lasts 0.6 s: is it whole?" in outcome.err


def test_a_password_is_not_shown(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "rtsp://me:secret@127.0.0.1:9/x")
    assert outcome.status == 1
    assert "rtsp://***@127.0.0.1:9/x" in outcome.err
    assert "secret" not in outcome.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--camera", "0", "--source", "demo"], "give one of"),
        (["--source", "demo", "--gstreamer", "videotestsrc ! appsink"], "give one of"),
        (["--source", "demo", "--camera-size", "720x1280"], "are of --camera"),
        (["--camera", "0", "--camera-size", "big"], "HEIGHTxWIDTH"),
    ],
)
def test_sources_that_do_not_go_together(edgeseg, args: list[str], says: str) -> None:
    outcome = edgeseg("run", *args)
    assert outcome.status == 2
    assert says in " ".join(outcome.err.split())


def test_a_missing_camera(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--camera", 9, "--save", "o.mp4")
    assert outcome.status == 1
    assert "camera 9 cannot be opened" in outcome.err
    assert list(Path().iterdir()) == []


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


def test_verify_prints_the_promised_json(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("verify", seeded_bundle.folder, "--json")
    assert outcome.status == 0
    content = outcome.json
    assert content["passed"] is True
    assert {"images", "miou", "reference_miou", "drop", "worst_class"} <= set(content)
    assert set(content["gates"][0]) == {"name", "key", "limit", "value", "passed", "bound", "unit"}


def test_a_missed_gate_is_status_3(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    """The golden masks of another model: what a broken engine would look like."""
    import numpy as np

    from edgeseg.bundle.staging import new_bundle, seal_bundle
    from edgeseg.images import read_mask, write_mask

    folder = tmp_path / "b"
    with new_bundle(folder) as staging:
        shutil.copytree(seeded_bundle.folder, staging, dirs_exist_ok=True)
        for name in ("manifest.json", "manifest.sha256"):
            (staging / name).unlink()
        path = staging / "golden" / "mask_0.png"
        write_mask(np.flip(read_mask(path)), path)
        seal_bundle(staging, seeded_bundle.manifest)
    outcome = edgeseg("verify", folder)
    assert outcome.status == 3
    assert "MISSED: golden/frame_0.png" in outcome.err
    assert "passed: golden/frame_1.png" in outcome.err


def test_bench_prints_the_promised_json(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("bench", seeded_bundle.folder, seeded_bundle.folder, "--frames", 3, "--json")
    assert outcome.status == 0
    first, second = outcome.json["results"]
    assert {"bundle", "backend", "precision", "p50_ms", "p95_ms", "fps", "peak_rss_mb"} <= set(
        first
    )
    assert first["p50_ms"] > first["infer_ms"] > 0
    assert second["bundle"] == str(seeded_bundle.folder)
    assert outcome.json["end_to_end"] == []


def test_bench_end_to_end_tells_what_a_run_keeps(
    edgeseg, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.bench.throughput.ROUNDS", 1)
    outcome = edgeseg("bench", seeded_bundle.folder, "--frames", 6, "--end-to-end", "--json")
    assert outcome.status == 0
    rows = outcome.json["end_to_end"]
    assert [row["threads"] for row in rows] == sorted({1, os.cpu_count()})
    for row in rows:
        assert row["kept"] == pytest.approx(row["run_fps"] / row["engine_fps"])
        host = row["prepare_ms"] + row["mask_ms"]
        assert row["host_share"] == pytest.approx(host / row["engine_ms"])
        assert row["sequential"] == pytest.approx(1 / (1 + row["host_share"]))
    assert outcome.err.count("a run keeps") == len(rows)


@pytest.mark.parametrize(
    ("variant", "paper"), [("b0", "8.4 G"), ("b2", "62.4 G"), ("b5", "183.3 G")]
)
def test_inspect_a_variant(edgeseg, variant: str, paper: str) -> None:
    outcome = edgeseg("inspect", variant, "--json")
    assert paper in outcome.err
    assert {"params", "macs", "macs_original", "size"} <= set(outcome.json)


def test_inspect_prints_the_golden_table(edgeseg, golden) -> None:
    golden("inspect.txt", "".join(edgeseg("inspect", f"b{n}").err for n in range(6)))


def test_inspect_a_bundle_and_a_checkpoint(
    edgeseg, seeded_bundle: Bundle, checkpoint_folder: Path
) -> None:
    assert edgeseg("inspect", seeded_bundle.folder, "--json").json["chosen"]["variant"] == "fp32"
    outcome = edgeseg("inspect", checkpoint_folder, "--json")
    assert outcome.json["layout"] == "huggingface"
    assert "Bicyclist" in outcome.err


def test_inspect_tells_of_each_variant(edgeseg) -> None:
    from edgeseg.demo.assets import find_demo_bundle

    lines = edgeseg("inspect", find_demo_bundle()).err.splitlines()
    variants = [line.split(maxsplit=1)[1] for line in lines if line.startswith("variant ")]
    assert len(variants) == 2
    assert any(re.match(r"int8-linear \(int8.onnx\), int8, 7\d % INT8, drop ", v) for v in variants)


def test_doctor_tells_what_is_there(edgeseg) -> None:
    outcome = edgeseg("doctor", "--json")
    assert outcome.status == 0
    assert outcome.json["engines"]["onnxruntime"]
    assert outcome.json["opencv"]["ffmpeg"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_cleanly(
    seeded_bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--jsonl", "-", "--save", "o.mp4"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "frames, " in err
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]
    video = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) >= 3
    video.release()


@pytest.mark.parametrize(
    "name",
    [
        "camvid_drive_10fps",
        "car-detection",
        "one-by-one-person-detection",
        "sidewalk",
        "solidWhiteRight",
    ],
)
def test_a_real_clip(edgeseg, shared: Path, name: str) -> None:
    """The packaged demo bundle on it: size and rate of what is saved are the clip's."""
    clip = shared / "video" / f"{name}.mp4"
    outputs = ("--save", "o.mp4", "--masks", "m", "--jsonl", "o.jsonl")
    outcome = edgeseg("run", "--source", clip, "--frames", 12, *outputs, "--json")
    assert outcome.status == 0
    assert (outcome.json["frames"], outcome.json["dropped"]) == (12, 0)
    assert len(list(Path("m").glob("*.png"))) == 12
    assert len(Path("o.jsonl").read_text().splitlines()) == 12
    assert frames_in(Path("o.mp4")) == 12
    given, saved = (cv2.VideoCapture(str(video)) for video in (clip, "o.mp4"))
    for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
        assert saved.get(prop) == given.get(prop) + given.get(prop) % 2
    assert saved.get(cv2.CAP_PROP_FPS) == pytest.approx(given.get(cv2.CAP_PROP_FPS), rel=0.02)


def test_a_lost_camera_ends_in_time(edgeseg, seeded_bundle: Bundle) -> None:
    with web.served(web.once(web.jpegs(3))) as port:
        url = f"http://127.0.0.1:{port}/stream.mjpg"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", url, "--seconds", 2)
    assert outcome.status == 0
    assert "frames, " in outcome.err


def test_a_network_camera_that_goes_on(edgeseg, seeded_bundle: Bundle) -> None:
    with web.served(web.jpegs(2000)) as port:
        url = f"http://127.0.0.1:{port}/stream.mjpg"
        outcome = edgeseg(
            "run", seeded_bundle.folder, "--source", url, "--frames", 10, "--save", "o.mp4"
        )
    assert outcome.status == 0
    assert frames_in(Path("o.mp4")) == 10


def test_a_reader_that_goes_away_takes_no_other_output_with_it(
    seeded_bundle: Bundle, tmp_path: Path
) -> None:
    outputs = ["--jsonl", "-", "--save", "o.mp4", "--frames", "12"]
    command = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder)]
    with subprocess.Popen(
        [*command, "--source", "demo", *outputs],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "stdout cannot be written: whoever read it went away; the other outputs go on" in said
    assert "Traceback" not in said
    assert frames_in(tmp_path / "o.mp4") == 12


def test_a_real_stream(edgeseg, has_rtsp: None, seeded_bundle: Bundle) -> None:
    with RtspServer() as server:
        outcome = edgeseg(
            "run", seeded_bundle.folder, "--source", server.url, "--frames", 20, "--json"
        )
    assert outcome.status == 0
    assert outcome.json["frames"] == 20
    assert f"source {server.url}" in outcome.err


def test_a_lost_camera_leaves_what_was_recorded(edgeseg, seeded_bundle: Bundle) -> None:
    outputs = ("--save", "o.mp4", "--jsonl", "o.jsonl", "--max-retries", 0)
    with web.served(web.jpegs(3)) as port:
        url = f"http://127.0.0.1:{port}/stream.mjpg"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", url, *outputs)
    assert outcome.status == 1
    assert "gave no more frames after 3" in outcome.err
    lines = Path("o.jsonl").read_text().splitlines()
    assert lines  # the newest of three: how many a slow machine drops nobody knows
    assert frames_in(Path("o.mp4")) == len(lines)
    assert sorted(p.name for p in Path().iterdir()) == ["o.jsonl", "o.mp4"]


def test_a_killed_run_leaves_a_video_that_plays(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """Up to a second before: at ten frames a second, the last whole ten and those before them."""
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--jsonl", "-", "--save", "o.mp4"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(37):
            process.stdout.readline()
        process.kill()
        written = 37 + len(process.stdout.read().splitlines())
    assert process.returncode == -signal.SIGKILL
    assert {p.name for p in tmp_path.iterdir()} == {"o.partial.mp4", ".o.mp4.edgeseg-lock"}
    assert written - 11 <= frames_in(tmp_path / "o.partial.mp4") <= written


def test_a_video_on_a_web_server_is_a_file(edgeseg, seeded_bundle: Bundle, clip: Path) -> None:
    """It has an end, loses no frame, and is not sought again."""
    clip.rename(clip.with_name("served.avi"))
    serve = partial(SimpleHTTPRequestHandler, directory=str(clip.parent))
    with web.serving(serve) as port:
        url = f"http://127.0.0.1:{port}/served.avi?from=here"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", url, "--json")
    assert outcome.status == 0
    assert (outcome.json["frames"], outcome.json["dropped"]) == (6, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_a_lost_camera_can_be_ended(
    seeded_bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    run = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder)]
    with (
        web.served(web.once(web.jpegs(3))) as port,
        subprocess.Popen(
            [*run, "--source", f"http://127.0.0.1:{port}/stream.mjpg"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process,
    ):
        assert process.stderr is not None
        next(line for line in process.stderr if "lost after" in line)
        next(line for line in process.stderr if "attempt 2" in line)
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert re.search(r"^\d+ frames?, ", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_stopped_export_leaves_nothing(
    checkpoint_folder: Path, tmp_path: Path, number: signal.Signals, says: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeseg", "export", "--weights", str(checkpoint_folder)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    with process.stderr as lines:
        next(line for line in lines if "graph written" in line)
        process.send_signal(number)
        said = lines.read()
    assert process.wait(timeout=60) == 128 + number
    assert said.endswith(f"edgeseg: {says}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_amid_a_destructor_is_not_forgotten(number: signal.Signals, says: str) -> None:
    """Python tells of what is raised there and goes on. Dask's Future has one, for each share."""
    program = f"""
import os, signal, sys, time
from edgeseg import cli

class Held:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        time.sleep(1)

@cli.app.command("stuck")
def stuck() -> None:
    held = Held()
    del held
    time.sleep(30)

sys.argv = ["edgeseg", "stuck"]
cli.main()
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (result.returncode, result.stderr) == (128 + number, f"edgeseg: {says}\n")


@pytest.mark.parametrize(
    "output",
    [["--save", "o.mp4"], ["--masks", "m"], ["--jsonl", "o.jsonl"]],
    ids=lambda output: output[1],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    seeded_bundle: Bundle, tmp_path: Path, output: list[str]
) -> None:
    """No file may grow beyond 2000 bytes: what a full disk does to a writer."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--frames", "30", *output]
    result = _subprocess(args, cwd=tmp_path, preexec_fn=limit)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("edgeseg: ")]
    assert len(lines) == 1
    assert output[1] in lines[0]
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_one_output_and_the_others_go_on(
    seeded_bundle: Bundle, tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    outputs = ["--save", "o.mp4", "--masks", "m", "--jsonl", "o.jsonl"]
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--frames", "30", *outputs]
    result = _subprocess(args, cwd=tmp_path, preexec_fn=limit)
    assert result.returncode == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("edgeseg: "))
    assert line == "edgeseg: o.mp4 cannot be written: File too large; the other outputs go on"
    assert "30 frames, " in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o.jsonl"]
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 30
    assert len(list((tmp_path / "m").glob("*.png"))) == 30


def test_without_a_screen_a_window_is_one_line(
    edgeseg, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "demo", "--frames", 2, "--show", "--json"
    )
    assert outcome.status == 0
    assert "no window: there is no display; use --preview to watch in a browser\n" in outcome.err
    assert outcome.json["frames"] == 2


def test_a_display_that_cannot_be_reached_is_one_line(
    edgeseg, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", "--frames", 2, "--show")
    assert outcome.status == 0
    assert outcome.err.count("no window: ") == 1


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
    assert _with_address([]) == []
    assert _with_address(["run", *given]) == ["run", *taken]


def test_a_preview_for_others_needs_a_token(edgeseg, seeded_bundle: Bundle) -> None:
    where = ("run", seeded_bundle.folder, "--source", "demo", "--preview", "0.0.0.0:0")
    outcome = edgeseg(*where)
    assert outcome.status == 2
    assert "--preview-token" in outcome.err
    assert edgeseg(*where, "--preview-token", "t", "--frames", 1).status == 2
    assert edgeseg(*where, "--preview-token", "long enough", "--frames", 1).status == 0


def test_systemd_hears_of_a_run(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """A real datagram socket in systemd's place."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        args = ["run", str(seeded_bundle.folder), "--source", "demo", "--seconds", "2.5"]
        result = subprocess.run(
            [sys.executable, "-m", "edgeseg", *args],
            cwd=tmp_path, env=environment, capture_output=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0
        manager.setblocking(False)
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(manager.recv(1000).decode())
    assert told[0].startswith("READY=1\nSTATUS=")
    assert told[1:-1] == ["WATCHDOG=1"] * len(told[1:-1])
    assert 2 <= len(told[1:-1]) <= 4  # once a second
    assert told[-1] == "STOPPING=1"


def test_a_reader_that_goes_away_ends_a_run(seeded_bundle: Bundle, tmp_path: Path) -> None:
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--jsonl", "-"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.returncode == 1
        assert "Traceback" not in process.stderr.read()


def _subprocess(args: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgeseg", *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
        **options,
    )


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


def test_a_missed_gate_is_status_3_and_leaves_nothing(
    edgeseg, tmp_path: Path, seeded_bundle: Bundle, checkpoint_folder: Path, monkeypatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    street = write_street(tmp_path / "street", seeded_bundle)
    args = ["--data", street, "--split", "test", "--recipe", "int8-linear", "--max-drop", "0"]
    outcome = edgeseg("export", "--weights", checkpoint_folder, "--int8", *args, "-o", "b")
    assert (outcome.status, outcome.out) == (3, "")
    assert "no int8 variant passed its gates. Nearest: int8-linear" in outcome.err
    assert not Path("b").exists()


def test_build_shows_every_variant(edgeseg, tmp_path: Path, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("build", seeded_bundle.folder, "--json")
    assert outcome.status == 0
    assert outcome.json["variants"][0]["variant"] == "fp32"
    assert "fp32, the only variant, runs here\n" in outcome.err


def test_calibrate_writes_a_folder(edgeseg, clip: Path) -> None:
    outcome = edgeseg("calibrate", clip, "-o", "c", "--images", 2, "--json")
    assert outcome.status == 0
    assert outcome.json["images"] == 2
    assert len(list(Path("c").iterdir())) == 2
    assert "only 2 calibration images" in outcome.err
