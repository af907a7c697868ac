"""The race times edgeseg, transformers' export and files of others, and says what it leaves out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("transformers")

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH, CLASSES = 64, 96, 19
FORM = "edgeseg merge-queries-keys2"
OURS = ["edgeseg exact fp32", f"{FORM} fp32", f"{FORM} int8"]


def write_peer(path: Path, *, size: tuple[int, int] = (HEIGHT, WIDTH), classes: int = CLASSES,
               ends_in_ids: bool = False) -> str:  # fmt: skip
    """A convolution to logits at a quarter of the size, which may go on to class ids."""
    height, width = size
    nodes = [helper.make_node("Conv", ["image", "weights"], ["logits"], strides=[4, 4])]
    output = ("logits", TensorProto.FLOAT, (1, classes, height // 4, width // 4))
    if ends_in_ids:
        nodes.append(helper.make_node("Resize", ["logits", "", "scales"], ["full"], mode="linear"))
        nodes.append(helper.make_node("ArgMax", ["full"], ["ids"], axis=1, keepdims=0))
        output = ("ids", TensorProto.INT64, (1, height, width))
    weights = np.random.default_rng(0).standard_normal((classes, 3, 4, 4)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, height, width))],
        [helper.make_tensor_value_info(*output)],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return f"{path.stem}={path}"


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    peers = [
        write_peer(tmp_path / "logits.onnx"),
        write_peer(tmp_path / "ids.onnx", ends_in_ids=True),
        write_peer(tmp_path / "small.onnx", size=(32, 32)),
        write_peer(tmp_path / "ade20k.onnx", classes=150),
    ]
    return ["--size", f"{HEIGHT}x{WIDTH}", "--rounds", "1", "--peer", *peers]


def check_lines(lines: list[dict[str, object]], *, engines: int) -> None:
    left_out = {(line["peer"], line["left_out"]) for line in lines if "left_out" in line}
    wanted = "neither logits (1, 19, h, w) nor a class map (1, 64, 96)"
    assert left_out == {
        ("small", "takes float32 (1, 3, 32, 32); a dimension of 0 is left open"),
        ("ade20k", f"gives float32 (1, 150, 16, 24), {wanted}"),
    }
    races = [line for line in lines if "left_out" not in line]
    assert len(races) == engines
    for race in races:
        names = ["transformers", *OURS, "logits", "ids"]
        assert list(race["median_ms"]) == list(race["speed"]) == list(race["outputs"]) == names
        assert race["peers"] == {"logits": "logits.onnx", "ids": "ids.onnx"}
        assert (race["size"], race["classes"]) == ([HEIGHT, WIDTH], CLASSES)
        assert race["speed"][OURS[0]]["ratio"] == 1
        assert race["macs"]["transformers"] > race["macs"]["edgeseg exact"] > race["macs"][FORM]
        assert race["equal_pixels"] > 0.999
        assert race["int8_share"] > 0.5
        assert set(race) > {"cpu", "features", "cores", "engine", "recipe", "transformers_export"}


def test_all_race_and_what_does_not_fit_is_named(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import contenders
    import race

    # The other exporter takes several times as long.
    monkeypatch.setattr(contenders, "EXPORTERS", ("torchscript",))
    monkeypatch.setattr(sys, "argv", ["race.py", "--engine", "onnxruntime", *arguments])
    race.main()
    check_lines([json.loads(line) for line in capsys.readouterr().out.splitlines()], engines=1)


@pytest.mark.long
def test_both_engines_and_exporters(arguments: list[str]) -> None:
    pytest.importorskip("nncf")
    pytest.importorskip("openvino")
    command = [sys.executable, str(ROOT / "benchmarks" / "race.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check_lines([json.loads(line) for line in done.stdout.splitlines()], engines=2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"cannot be read \(No such file or directory\); name an ONNX file"),
        ("folder", r"cannot be read \(Is a directory\); name an ONNX file"),
        (b"", "is empty; export the network again"),
        (b"<html>", "is no ONNX file; export the network again"),
        (onnx.ModelProto(ir_version=10).SerializeToString(), "has 0 inputs; name a file with one"),
    ],
    ids=["gone", "folder", "empty", "page", "graph of nothing"],
)
def test_what_is_no_network_is_named_with_a_remedy(
    content: bytes | str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from peers import read_peer

    from edgeseg.errors import SpecError

    path = tmp_path / "theirs.onnx"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(SpecError, match=rf"^peer theirs: {path} {says}"):
        read_peer("theirs", path)


def test_a_peer_takes_the_image_in_its_own_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from peers import Peer

    frame = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(1, 2, 4, 3)
    pixels = frame[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255
    in_bytes = Peer(name="a", path=tmp_path, shape=(1, 2, 4, 3), dtype="uint8")
    np.testing.assert_array_equal(in_bytes.prepare(frame, pixels), frame[..., ::-1])
    in_halves = Peer(name="b", path=tmp_path, shape=(1, 3, 2, 4), dtype="float16")
    prepared = in_halves.prepare(frame, pixels)
    assert prepared.dtype == np.float16
    np.testing.assert_array_equal(prepared, pixels.astype(np.float16))
    assert in_halves.explain_misfit(2, 4) is None
    open_size = Peer(name="c", path=tmp_path, shape=(0, 3, 0, 0), dtype="float32")
    assert "(0, 3, 0, 0)" in (open_size.explain_misfit(2, 4) or "")
