"""A variant whose engine really fails is out by name, wherever in an export; the others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from failing import ALWAYS, BLACK, WAYS, failing_model
from PIL import Image
from small import write_street

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import GateMissedError
from edgeseg.progress import Progress
from edgeseg.quantize import calibrated as calibrated_module
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.targets.onnxruntime import OrtQuantizer
from edgeseg.segformer.groups import Group

LENIENT = Limits(max_drop=100, max_class_drop=None, min_agreement=0)
TEST_IMAGES = 8


@pytest.fixture(scope="module")
def street(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of the deciding half is black; it is no golden frame, and none that is timed."""
    root = write_street(
        tmp_path_factory.mktemp("data") / "street", seeded_bundle, train=8, test=TEST_IMAGES
    )
    order = np.random.default_rng(0).permutation(TEST_IMAGES).tolist()
    place = next(place for place in order[TEST_IMAGES // 2 :] if place % 2)
    path = sorted((root / "test" / "images").iterdir())[place]
    Image.new("RGB", (128, 96)).save(path)
    return root


@pytest.fixture
def request_(request_: ExportRequest) -> ExportRequest:
    return replace(request_, precision="auto", limits=LENIENT)


def break_recipe(monkeypatch: pytest.MonkeyPatch, name: str, way: str, *, below: float) -> None:
    """Every file of the recipe fails, as an engine of that graph would."""
    make = OrtQuantizer.make

    def broken(self: OrtQuantizer, recipe: Recipe, path: Path) -> None:
        make(self, recipe, path)
        if recipe.name == name:
            path.write_bytes(failing_model(path, way, below=below))

    monkeypatch.setattr(OrtQuantizer, "make", broken)


def export(request: ExportRequest) -> tuple[Bundle, dict[str, str], list[str]]:
    lines: list[str] = []
    exported = export_bundle(request, progress=Progress(say=lines.append))
    verdicts = {trial.candidate.name: trial.verdict for trial in exported.tried}
    return exported.bundle, verdicts, lines


@pytest.mark.parametrize("way", ["nan", "raises"])
def test_a_failure_on_the_deciding_half_drops_that_variant(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    break_recipe(monkeypatch, "int8-linear", way, below=BLACK)
    bundle, verdicts, lines = export(request_)
    assert [variant.name for variant in bundle.manifest.variants] == ["fp32"]
    assert bundle.chosen.name == "fp32"
    assert WAYS[way] in verdicts["int8-linear"]
    assert any(line.strip().startswith("int8-linear is out: ") for line in lines)
    assert any(line.startswith("the search took ") for line in lines)


@pytest.fixture
def bright(street: Path, tmp_path: Path) -> Path:
    """Images that are all brighter than the drawn golden frames."""
    (tmp_path / "bright").mkdir()
    for path in (street / "train" / "images").iterdir():
        pixels = np.asarray(Image.open(path)) // 4 + 190
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "bright" / path.name)
    return tmp_path / "bright"


def test_a_failure_on_a_golden_frame_drops_that_variant_for_the_next(
    request_: ExportRequest, bright: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was the only INT8 that was decided on: the next fastest is, then."""
    break_recipe(monkeypatch, "int8-linear", "nan", below=180)
    fast_first(monkeypatch, ["int8-linear", "int8-conv", "fp32"])
    request = replace(
        request_,
        dataset=None,
        calibration=str(bright),
        precision="int8",
        recipes=(RECIPES["int8-linear"], RECIPES["int8-conv"]),
    )
    bundle, verdicts, lines = export(request)
    assert bundle.chosen.name == "int8-conv"
    assert {variant.name for variant in bundle.manifest.variants} == {"fp32", "int8-conv"}
    assert verdicts["int8-linear"].startswith("failed as it ships: ")
    assert any(line.startswith("int8-linear is out: ") for line in lines)
    assert {path.name for path in bundle.folder.glob("*.onnx")} == {"model.onnx", "int8.onnx"}
    with pytest.raises(GateMissedError, match="no int8 variant .* int8-linear failed as it ships"):
        export(replace(request, recipes=request.recipes[:1], folder=Path("none")))
    assert not Path("none").exists()


def fast_first(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    from edgeseg.quantize import judging

    def timed(_job: object, trials: list) -> list:
        speeds = {t.candidate.name: 2.0 - names.index(t.candidate.name) / 4 for t in trials}
        return [replace(t, speedup=speeds[t.candidate.name], latency_ms=1.0) for t in trials]

    monkeypatch.setattr(judging, "_time_in_turns", timed)


def test_a_group_that_makes_the_engine_fail_is_the_most_harmful(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cost is not measured, and not kept; that of the others is."""
    broken = Group("stage1", "q")
    to_qdq = calibrated_module.to_qdq

    class Failing:
        def __init__(self, content: bytes) -> None:
            self.SerializeToString = lambda: content

    def failing(model, recipe: Recipe, ranges) -> object:
        made = to_qdq(model, recipe, ranges)
        if recipe.int8 != {broken}:
            return made
        path = request_.folder.with_name("one.onnx")
        path.write_bytes(made.SerializeToString())
        return Failing(failing_model(path, "nan", below=ALWAYS))

    monkeypatch.setattr(calibrated_module, "to_qdq", failing)
    measured: list[Callable[[], object]] = []
    original = Calibrated.sensitivity

    def kept(self: Calibrated) -> object:
        found = original(self)
        measured.append(found)
        return found

    monkeypatch.setattr(Calibrated, "sensitivity", kept)
    bundle, _, lines = export(replace(request_, sensitivity=True))
    (costs,) = measured
    assert costs[broken] == 100
    assert broken.name not in bundle.manifest.sensitivity
    assert len(bundle.manifest.sensitivity) == len(costs) - 1
    assert any(line.startswith("stage1.q alone in INT8 is taken as the most") for line in lines)
