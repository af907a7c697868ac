"""The profile of a network: each operation is of a known kind, and the shares make 100 %."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.segformer.form import FORMS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_shares_are_of_known_kinds_and_make_a_whole(
    engine: str,
    checkpoint_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(engine)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import profile_graph

    forms = ["exact", list(FORMS)[-1]]
    # An odd side makes the averages cut and join tokens.
    words = ["--weights", str(checkpoint_folder), "--size", "96x136", "--rounds", "2"]
    words += ["--engine", engine, "--threads", "1", "--form", *forms]
    monkeypatch.setattr(sys, "argv", ["profile_graph.py", *words])
    profile_graph.main()
    exact, merged = map(json.loads, capsys.readouterr().out.splitlines())
    assert [exact["form"], merged["form"]] == forms
    for line in (exact, merged):
        assert (line["size"], line["threads"], line["rounds"]) == ([96, 136], 1, 2)
        shares = line["share_percent"]
        assert set(shares) == set(profile_graph.KINDS)
        # Eleven shares, each rounded to a hundredth.
        assert sum(shares.values()) == pytest.approx(100, abs=0.06)
        assert all(shares[kind] > 0 for kind in ("convolutions", "linear layers", "attention"))
        # The head's, which an engine joins to a convolution only at some sizes.
        assert set(line["operations"].get(profile_graph.REST, {})) <= {"Relu"}
        assert 0 < line["total_ms"]["smallest"] <= line["total_ms"]["median"]
    assert (exact["share_percent"]["averaging"], "averaging" in exact["operations"]) == (0, False)
    assert merged["share_percent"]["averaging"] > 0


@pytest.mark.parametrize(
    ("operation", "nodes", "kind"),
    [
        ("Subgraph", ["a.block0.scores", "a.block0.softmax", "a.block0.values"], "attention"),
        ("Subgraph", ["a.block0.attn_residual"], "sums"),
        ("Convolution", ["a.block0.dwconv", "a.block0.gelu"], "convolutions"),
        ("MatMul", ["a.block0.attn_out"], "linear layers"),
        ("MatMul", ["a.block0.scores"], "attention"),
        ("Multiply", ["Multiply_39", "a.embed_norm"], "LayerNorm"),
        ("Transpose", ["preprocess.to_image"], "layout changes"),
        ("Cast", ["preprocess.cast"], "input"),
        ("Novelty", ["b"], "the rest"),
    ],
)
def test_an_operation_goes_by_its_type_and_else_by_its_nodes(
    operation: str, nodes: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from profile_graph import find_kind

    assert find_kind(operation, nodes) == kind


def test_other_ways_to_move_maps_compute_the_same(
    checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import moved_maps

    words = ["--weights", str(checkpoint_folder), "--size", "64x128", "--rounds", "1"]
    words += ["--engine", "onnxruntime", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["moved_maps.py", *words])
    moved_maps.main()
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    ways = list(moved_maps.WAYS)
    assert list(line["difference"]) == list(line["by_kind_ms"]) == list(line["speed"]) == ways
    # Means of means are rounded differently; the logits' standard deviation is 1 or more.
    assert max(line["difference"].values()) < 1e-4


def test_other_ways_to_move_maps_are_other_graphs(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from moved_maps import WAYS
    from profile_graph import write_artifact

    checkpoint = read_checkpoint(str(checkpoint_folder), size=(64, 128))
    form = FORMS["merge-queries-keys12"]
    graphs = {
        write_artifact(checkpoint, form, "onnxruntime", tmp_path, change).read_bytes()
        for change in WAYS.values()
    }
    assert len(graphs) == len(WAYS)
