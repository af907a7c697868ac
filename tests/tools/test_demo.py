"""`make demo`'s script: what it runs, in which order, and that it ends whatever the page does."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.images import read_image

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "demo.py"

# The script itself, on the fewest images that its gates can be judged on; its port is taken.
SMALL = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("demo", {str(SCRIPT)!r})
demo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(demo)
demo.STREETS = {{"train": ("calibration", 2), "test": ("test", 10)}}
demo.PREVIEW_S, demo.VIDEO_FRAMES, demo.PREVIEW_PORT = 1, 2, int(sys.argv[1])
demo.main()
"""


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def running_in(session: int) -> list[str]:
    """What runs in a session of processes, by its command line."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended
            continue
    return found


def test_the_whole_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", SMALL, str(port)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            said, _ = process.communicate()
    assert process.returncode == 0, said
    assert running_in(process.pid) == []

    lines = iter(said.splitlines())
    for beginning in (
        "== 1 of 5: ",
        "$ edgeseg run --source demo --frames 1 --save out/demo/overlay.png",
        "written: out/demo/overlay.png",
        "== 2 of 5: ",
        f"port {port}: ",
        "$ edgeseg run --source demo --seconds 1 --preview 127.0.0.1:0",
        "preview: http://127.0.0.1:",
        "== 3 of 5: a data set of drawn streets (2 for train and 10 for test)",
        "$ edgeseg export --model b0 --target onnxruntime --int8 --recipe int8-linear",
        "calibrating on 2 images",
        "int8 was asked for: ",
        "bundle written: out/demo/bundle",
        "== 4 of 5: ",
        "$ edgeseg verify out/demo/bundle --data out/demo/streets --split test",
        "passed: class IoU drop",
        "== 5 of 5: ",
        "$ edgeseg run out/demo/bundle --source demo --frames 2 --save out/demo/overlay.mp4",
        "written: out/demo/overlay.mp4",
        "== done",
        "  edgeseg export --model b0 --target onnxruntime -o out/demo/searched",
    ):
        assert any(line.startswith(beginning) for line in lines), f"no {beginning!r}:\n{said}"

    out = tmp_path / "out" / "demo"
    bundle = open_bundle(out / "bundle")
    assert bundle.chosen.precision == "int8"
    assert bundle.chosen.gate is not None
    assert bundle.chosen.gate.images == 5
    assert read_image(out / "overlay.png").shape == (480, 640, 3)
    assert (out / "overlay.mp4").stat().st_size > 0


def test_the_data_set_is_one_as_a_user_brings(demo: ModuleType, tmp_path: Path) -> None:
    demo.STREETS = {"train": ("calibration", 1), "test": ("test", 2)}
    demo.draw_streets(tmp_path)
    assert [len(open_dataset(str(tmp_path), split=split)) for split in demo.STREETS] == [1, 2]
    sample = open_dataset(str(tmp_path), split="test").items[0].read()
    assert sample.mask is not None
    assert sample.image.shape[:2] == sample.mask.shape == (512, 512)
    classes = json.loads((tmp_path / "dataset.json").read_text())["classes"]
    assert sample.mask[sample.mask != 11].max() < len(classes) == 11


def test_a_free_port_is_taken(demo: ModuleType) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        demo.PREVIEW_PORT = free.getsockname()[1]
    assert demo.find_address() == f"127.0.0.1:{demo.PREVIEW_PORT}"


def test_a_page_that_cannot_be_shown_ends_no_demo(
    demo: ModuleType, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESEG_PREVIEW_TOKEN", "short")
    demo.preview()
    said = capfd.readouterr()
    assert "--preview-token has 8 characters or more" in said.err
    assert "the demo goes on without it" in said.out
