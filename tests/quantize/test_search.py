"""The search on real engines with a small network."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from pathlib import Path

import onnx
import openvino
import pytest
from search_limits import LINEAR, STEADY, export

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Accuracy
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CalibrationError, DatasetError, GateMissedError
from edgeseg.progress import Progress
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.targets import jetson
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.segformer.groups import GROUPS, Group


@pytest.mark.parametrize(
    ("target", "estimator"), [("onnxruntime", "percentile"), ("openvino", "nncf")]
)
def test_an_int8_bundle_says_everything_about_itself(
    request_: ExportRequest, target: str, estimator: str
) -> None:
    bundle, lines = export(replace(request_, target=target))
    manifest = bundle.manifest
    assert bundle.chosen.precision == "int8"
    assert bundle.chosen.recipe == "int8-linear"
    assert bundle.chosen.int8_share == pytest.approx(int8_share(bundle.path(bundle.chosen.file)))
    assert bundle.chosen.int8_share >= 0.5
    for variant in manifest.variants:
        assert variant.gate is not None
        assert variant.search is not None
        assert (variant.search.images, variant.gate.images) == (5, 5)
        assert variant.latency_ms is not None
        assert variant.latency_ms > 0
    fp32 = next(v for v in manifest.variants if v.name == "fp32")
    assert fp32.gate is not None
    assert (fp32.gate.miou, fp32.gate.drop) == (pytest.approx(100), 0)
    assert bundle.chosen.gate is not None
    assert bundle.chosen.gate.drop_low is not None
    assert manifest.calibration is not None
    assert manifest.calibration.images == 12
    assert manifest.calibration.estimator == estimator
    assert manifest.calibration.source == "street"
    assert manifest.evaluation is not None
    assert (manifest.evaluation.searched, manifest.evaluation.gated) == (5, 5)
    assert manifest.machine is not None
    assert manifest.machine.features
    assert any("only 12 calibration images" in line for line in lines)
    assert manifest.chosen.reason.startswith("int8 was asked for: int8-linear")
    for golden in manifest.golden:
        assert golden.agreement[bundle.chosen.name] > 50


def test_auto_ships_a_float_and_an_int8_variant(request_: ExportRequest) -> None:
    heard: dict[str, tuple[int, int]] = {}

    def hear(phase: str, done: int, total: int, _unit: str = "image", /) -> None:
        heard[phase] = done, total

    bundle = export_bundle(
        replace(request_, precision="auto"), progress=Progress(phase=hear)
    ).bundle
    phases = {  # in this order, each to its end
        "reading the checkpoint": (0, 0),
        "choosing images": (12, 12),
        "comparing with the calibration images": (10, 10),
        "hashing": (10, 10),
        "writing the graph": (0, 0),
        "comparing with PyTorch": (4, 4),
        "segmenting golden frames with PyTorch": (0, 0),
        "measuring fp32": (5, 5),
        "making int8-linear": (0, 0),
        "calibrating": (12, 12),
        "measuring int8-linear": (5, 5),
        "timing": (2, 2),
        "deciding on fp32": (5, 5),
        "deciding on int8-linear": (5, 5),
        "confirming fp32 as it ships": (5, 5),
        "confirming int8-linear as it ships": (5, 5),
    }
    assert list(heard.items()) == list(phases.items())
    precisions = {variant.precision for variant in bundle.manifest.variants}
    assert precisions == {"fp32", "int8"}
    assert "that passed" in bundle.manifest.chosen.reason


def test_without_ground_truth_agreement_decides(request_: ExportRequest) -> None:
    bundle, _ = export(replace(request_, dataset=None, limits=Limits(min_agreement=10)))
    accuracy = bundle.chosen.gate
    assert accuracy is not None
    assert accuracy.drop is None
    assert accuracy.pixel_agreement > 10
    assert bundle.manifest.calibration is not None
    assert bundle.manifest.calibration.images == 9  # a quarter was held back


def test_nothing_that_misses_is_shipped(request_: ExportRequest, tmp_path: Path) -> None:
    strict = Limits(max_drop=None, max_class_drop=None, min_agreement=100)
    with pytest.raises(GateMissedError, match="no int8 variant passed its gates") as caught:
        export(replace(request_, dataset=None, limits=strict))
    message = str(caught.value)
    assert re.search(r"pixel agreement .* \(limit 100.000\)", message)
    assert "Nearest: int8-linear" in message
    assert "--min-agreement" in message
    assert not (tmp_path / "bundle").exists()
    assert not list(tmp_path.glob(".bundle*"))


def test_groups_that_hurt_return_to_float_until_it_passes(
    request_: ExportRequest, cache: Path
) -> None:
    """A gate just above what the whole recipe reaches: the worst group has to go."""
    reached = export(request_)[0].chosen.search
    assert reached is not None
    wanted = Limits(max_drop=None, max_class_drop=None, min_agreement=reached.pixel_agreement + 0.2)
    lines: list[str] = []
    with contextlib.suppress(GateMissedError):  # the other half may fall short of it
        export_bundle(replace(request_, limits=wanted), progress=Progress(say=lines.append))
    tried = [line.strip() for line in lines if line.startswith("  int8-linear")]
    assert "missed on the guiding half: pixel agreement" in tried[0]
    assert tried[-1].startswith("int8-linear without ")
    assert "; passed" in tried[-1]
    assert all("missed" in line for line in tried[:-1])
    (kept,) = cache.rglob("sensitivity.json")
    costs = json.loads(kept.read_text())
    within = {group.name: costs[group.name] for group in LINEAR[0].int8 if group.name in costs}
    worst = sorted(within, key=within.__getitem__, reverse=True)
    assert tried[1].startswith(f"int8-linear without {worst[0]}:")


@pytest.mark.long
def test_sensitivity_comes_as_a_table_and_a_picture(request_: ExportRequest) -> None:
    bundle, _ = export(replace(request_, sensitivity=True))
    costs = bundle.manifest.sensitivity
    assert len(costs) == len(GROUPS) - 1  # the last stage has no sequence reduction
    assert all(0 <= cost <= 100 for cost in costs.values())
    assert (bundle.folder / "sensitivity.svg").read_text().count("<rect") == 1 + len(costs)


def test_a_recipe_with_little_int8_may_not_be_called_so(request_: ExportRequest) -> None:
    small = Recipe(name="small", int8=frozenset({Group("stage1", "q")}))
    with pytest.raises(GateMissedError, match=r"small only \d+ % of the multiply-adds are INT8"):
        export(replace(request_, recipes=(small,)))


def test_images_that_decide_may_not_calibrate(request_: ExportRequest, street: Path) -> None:
    calibration = str(street / "test" / "images")
    with pytest.raises(CalibrationError, match="shares 10 images with the calibration set"):
        export(replace(request_, calibration=calibration))


def test_two_images_are_the_least(request_: ExportRequest) -> None:
    assert request_.dataset is not None
    one = replace(request_.dataset, items=request_.dataset.items[:1])
    with pytest.raises(DatasetError, match=r"has too few images \(1\)"):
        export(replace(request_, dataset=one))


def test_a_used_up_budget_tries_nothing_more(request_: ExportRequest) -> None:
    bundle, lines = export(replace(request_, precision="auto", budget_s=0))
    assert [variant.name for variant in bundle.manifest.variants] == ["fp32"]
    assert any("budget used up: int8-linear was not tried" in line for line in lines)


def test_openvino_computes_in_what_is_asked_for(request_: ExportRequest) -> None:
    bundle, _ = export(replace(request_, target="openvino", precision="auto", calibration=None))
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {variant.name for variant in bundle.manifest.variants}
    assert "fp32" in names
    if "BF16" in able:
        assert {v.compute for v in bundle.manifest.variants} == {"f32", "bf16"}


@pytest.mark.parametrize("precision", ["int8", "auto", "fp16"])
def test_a_jetson_bundle_holds_every_form_for_the_device(
    request_: ExportRequest, precision: str
) -> None:
    recipes = (jetson.RECIPES["int8-linear"],)
    request = replace(request_, target="jetson", precision=precision, recipes=recipes)
    bundle, lines = export(replace(request, calibration_images=STEADY))
    found = {v.name: v for v in bundle.manifest.variants}
    written = ("-tokens", "-attention", "-tokens-attention")
    sixteen = {f"fp16{end}" for end in ("", "-map", *written)}
    eight = {f"int8-linear{end}" for end in ("", "-map", "-casts", "-casts-map", *written)}
    assert (
        set(found) == {"int8": eight | sixteen, "auto": eight | sixteen, "fp16": sixteen}[precision]
    )
    assert bundle.chosen.name == ("fp16" if precision == "fp16" else "int8-linear")
    assert "; the device " in bundle.manifest.chosen.reason
    assert bundle.manifest.calibration is not None
    assert bundle.manifest.calibration.estimator == "percentile"  # our own ranges
    on_disk = {path.name for path in bundle.folder.glob("*.onnx")}
    assert on_disk == {file for variant in found.values() for file in variant.files}
    batches = {variant.name: variant.batch for variant in found.values() if variant.batch}
    assert set(batches) == {"fp16", "int8-linear"} & set(found)
    for name, batch in batches.items():
        assert (batch.frames, batch.file) == (4, f"{name.partition('-')[0]}_batch4.onnx")
        graph = onnx.load(bundle.path(batch.file))
        assert find_violations(graph) == {}
        assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    for variant in found.values():
        assert variant.compute == "f16"
        assert variant.latency_ms is None
        assert (variant.gate is None) == variant.name.endswith(written)  # measured once
        assert find_violations(onnx.load(bundle.path(variant.file))) == {}
        assert (variant.int8_share >= 0.5) == (variant.precision == "int8")
        assert variant.output == ("class_map" if variant.name.endswith("-map") else "logits")
        assert all(golden.agreement[variant.name] > 50 for golden in bundle.manifest.golden)
    if precision != "fp16":
        assert found["int8-linear-casts-map"].instead_of == "int8-linear-map"
        assert found["int8-linear-casts"].instead_of == "int8-linear"
    # Calibration finds the peaks, too, in the same pass.
    passes = [
        sum(words in line for line in lines) for words in ("values beyond FP16", "calibrating on")
    ]
    assert passes == ([1, 0] if precision == "fp16" else [0, 1])
    grown = json.loads((bundle.folder / "peaks.json").read_text())
    assert 200 < grown["preprocess.cast"] <= 255
    assert grown["logits"] > 1


def test_ranks_by_speed_and_ties_by_agreement() -> None:
    from edgeseg.quantize.judging import rank_timed
    from edgeseg.quantize.search import Candidate, Trial
    from edgeseg.runtime.timing import SAME_SPEED

    def trial(name: str, speedup: float, agreement: float) -> Trial:
        recipe = Recipe(name=name, int8=frozenset())
        candidate = Candidate(
            name=name, precision="int8", compute="f32", recipe=recipe, path=Path(name)
        )
        accuracy = Accuracy(images=1, pixel_agreement=agreement, agreement_iou=agreement)
        return Trial(candidate=candidate, int8_share=1, search=accuracy, speedup=speedup)

    trials = [trial("a", 1.0, 99.9), trial("b", 1.50, 98), trial("c", 1.47, 99), trial("d", 1.2, 9)]
    assert [t.candidate.name for t in rank_timed(trials)] == ["c", "b", "d", "a"]
    assert SAME_SPEED == 0.03
