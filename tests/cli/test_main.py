"""The command line as its user meets it: exit status, one line on stderr, JSON on stdout."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from edgeseg.bundle.store import Bundle, open_bundle

COMMANDS = (
    *("export", "run", "verify", "bench", "build"),
    *("calibrate", "inspect", "sources", "doctor"),
)


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
        ["run", "--source", "x.toml", "--source", "x"],
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
        (["export", "--weights", "w", "--data", "missing"], "data set missing is no folder"),
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


def test_export_prints_the_promised_json(edgeseg, b0_checkpoint: Path) -> None:
    outcome = edgeseg("export", "--weights", b0_checkpoint, "--model", "b0", "--json")
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
    forms = {form["name"]: form["macs"] for form in outcome.json["forms"]}
    assert forms["exact"] == outcome.json["macs"] > forms["merge-queries"]
    cost = f"({forms['exact'] / 1e9:.2f} G multiply-adds)"
    assert f"form         exact: the network as it was trained {cost}" in outcome.err
    assert "Bicyclist" in outcome.err


def test_inspect_tells_of_each_variant(edgeseg) -> None:
    from edgeseg.demo.assets import find_demo_bundle

    lines = edgeseg("inspect", find_demo_bundle()).err.splitlines()
    variants = [line.split(maxsplit=1)[1] for line in lines if line.startswith("variant ")]
    assert len(variants) == 2
    told = r"merge-queries\+int8-linear \(int8_\w+.onnx\), int8, form merge-queries, 90 % INT8, dr"
    assert any(re.match(told, variant) for variant in variants)


def test_doctor_tells_what_is_there(edgeseg) -> None:
    outcome = edgeseg("doctor", "--json")
    assert outcome.status == 0
    assert outcome.json["engines"]["onnxruntime"]
    assert outcome.json["opencv"]["ffmpeg"] is True


@pytest.mark.long  # it searches; test_search.py has the same miss, and verify the same status
def test_a_missed_gate_is_status_3_and_leaves_nothing(
    edgeseg, tmp_path: Path, street: Path, checkpoint_folder: Path, monkeypatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
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
