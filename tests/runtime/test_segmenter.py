"""A segmenter from Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import write_street

import edgeseg
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError
from edgeseg.runtime.segmenter import Segmenter


@pytest.mark.parametrize(
    ("frame", "got"),
    [
        (None, "NoneType"),
        ("x.png", "str"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \(0, 4, 3\)"),
    ],
)
def test_what_is_no_frame_is_refused(segmenter: Segmenter, frame: object, got: str) -> None:
    with pytest.raises(SourceError, match=rf"a frame is uint8 BGR .*; got {got}"):
        segmenter.segment(frame)


def test_the_examples_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Those of the package and of the guide are one, and it runs."""
    shown = str(edgeseg.__doc__).partition("import edgeseg")[2].rstrip()
    guide = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text("utf-8")
    assert shown in guide
    code = "import edgeseg" + shown
    for told, here in {
        '"segformer_b0/", target="openvino", data="camvid", split="test"': "**exporting",
        '"street", source="drive.mp4", save="overlay.mp4"': "folder, **running",
        '"street"': "folder",
        '"drive.mp4"': '"demo"',
        'data="camvid"': "data=street",
        "mask.shape)\n": "mask.shape)\n        break\n",
    }.items():
        assert told in code
        code = code.replace(told, here)
    folder = Path(edgeseg.__file__).parent / "data" / "demo_bundle"
    names = {
        "folder": folder,
        "street": write_street(tmp_path / "street", open_bundle(folder), train=0),
        "frame": draw_scene(2, 0, height=48, width=64).image,
        "exporting": {"model": "b0", "precision": "fp32", "size": (64, 96), "output": "made"},
        "running": {"source": "demo", "frames": 1, "save": "o.png"},
    }
    monkeypatch.chdir(tmp_path)
    exec(code, names)  # our own example
    assert capsys.readouterr().out == "0 (480, 640)\nmade\n"
    assert sorted(path.name for path in Path().iterdir()) == ["made", "o.png", "street"]
    assert names["report"].gates


def test_nothing_is_told_to_the_engines_maker(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """ONNX Runtime would leave an identity and a queue of events in the user's cache."""
    code = f"import edgeseg; s = edgeseg.open({str(seeded_bundle.folder)!r}); s.close()"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]


def test_the_python_interface(seeded_bundle: Bundle) -> None:
    frame = draw_scene(2, 0, height=48, width=64).image
    with edgeseg.open(str(seeded_bundle.folder)) as segmenter:
        assert segmenter.segment(frame).mask.shape == (48, 64)
        results = segmenter.stream("demo")
        assert [next(results).captured.index for _ in range(3)] == [0, 1, 2]
        results.close()


def test_a_frame_of_any_size_is_segmented_at_its_own(segmenter: Segmenter) -> None:
    for size in ((33, 47), (96, 128), (700, 500)):
        frame = draw_scene(2, 0, height=size[0], width=size[1]).image
        assert segmenter.segment(frame).mask.shape == size
