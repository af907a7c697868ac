"""One logit and a threshold are read as two classes; the oracle is the framework's own sigmoid."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from binary import above, binary_demo, binary_mmseg, transformers_probabilities
from oracle import FEW, change, deployed_mask, differing, small_demo, street
from PIL import Image
from safetensors.torch import load_file, save_file
from search_limits import LENIENT

from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions, ExportRequest
from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.targets import jetson
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

if TYPE_CHECKING:
    from outcome import Outcome

SIZE = (96, 128)
CRACK = ("background", "crack")
CONFIG = "model = dict(decode_head=dict(num_classes=2, out_channels=1{more}))"


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return binary_demo(tmp_path_factory.mktemp("binary") / "road", "road")


@pytest.mark.parametrize("threshold", [None, 0.2, 0.9])
def test_the_mask_is_where_the_sigmoid_is_above(threshold: float | None, road: Path) -> None:
    expected = above(transformers_probabilities(road, street()), threshold or 0.5)
    ours = deployed_mask(road, street(), overrides=Overrides(threshold=threshold))
    assert differing(ours, expected) < FEW


def test_on_a_photograph(road: Path, shared: Path) -> None:
    photograph = np.asarray(Image.open(shared / "data" / "stills" / "city_0.jpg").convert("RGB"))
    frame = np.ascontiguousarray(photograph[:, :, ::-1])
    expected = above(transformers_probabilities(road, frame), 0.5)
    assert differing(deployed_mask(road, frame), expected) < FEW


@pytest.mark.parametrize(
    ("more", "said", "threshold", "origin"),
    [
        ("", None, 0.3, "the default of mmsegmentation"),
        (", threshold=0.6", None, 0.6, "the training configuration"),
        (", threshold=0.6", 0.45, 0.45, "the command line"),
    ],
)
def test_mmsegmentations_threshold(
    more: str, said: float | None, threshold: float, origin: str, tmp_path: Path
) -> None:
    path, frame = tmp_path / "w.pth", street(*SIZE)
    config = CONFIG.format(more=more)
    probabilities = binary_mmseg(path, config, frame, dataset_meta={"classes": CRACK})
    told: list[str] = []
    options = {"size": SIZE, "overrides": Overrides(threshold=said)}
    found = read_checkpoint(str(path), say=told.append, **options)
    assert (found.labels.classes, found.threshold) == (CRACK, threshold)
    (line,) = (line for line in told if "one logit" in line)
    assert f"crack where its sigmoid is above {threshold:g} ({origin}), else background" in line
    ours = deployed_mask(path, frame, **options)
    assert differing(ours, above(probabilities, threshold)) < FEW


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("LABEL_0",), ("background", "foreground")),
        (("road",), ("background", "road")),
        (("other", "road"), ("other", "road")),
    ],
)
def test_its_two_classes_have_names(
    names: tuple[str, ...], classes: tuple[str, str], road: Path, tmp_path: Path
) -> None:
    folder = _copy(road, tmp_path)
    change(folder / "config.json", id2label={str(i): name for i, name in enumerate(names)})
    told: list[str] = []
    found = read_checkpoint(str(folder), say=told.append)
    assert found.labels.classes == classes
    assert found.threshold == 0.5
    assumed = "assumed, because the checkpoint has no names"
    assert found.labels_source == (assumed if names == ("LABEL_0",) else "the checkpoint")


def test_more_names_than_two_are_refused(road: Path, tmp_path: Path) -> None:
    folder = _copy(road, tmp_path)
    change(folder / "config.json", id2label={"0": "sky", "1": "road", "2": "car"})
    with pytest.raises(CheckpointError, match=r"one logit .* 3 names: sky, road, car; "):
        read_checkpoint(str(folder))


def test_a_name_of_the_command_line_is_that_of_the_second_class(
    edgeseg: Callable[..., Outcome], road: Path, tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text("street\n")
    done = edgeseg(
        *("export", "--weights", road, "--labels", tmp_path / "names.txt"),
        *("--precision", "fp32", "--threshold", "0.9", "-o", tmp_path / "bundle", "--json"),
    )
    assert done.status == 0, done.err
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["labels"]["classes"] == ["background", "street"]
    assert manifest["checkpoint"]["threshold"] == 0.9
    assert "threshold 0.9" in edgeseg("inspect", tmp_path / "bundle").err


def test_verify_measures_it_on_masks_of_0_and_1(
    edgeseg: Callable[..., Outcome], road: Path, tmp_path: Path
) -> None:
    """Truth is transformers' mask at 0.9: it is met at that threshold, and at 0.5 not."""
    data = _write_truth(tmp_path / "data", road, threshold=0.9)
    figures = {}
    for threshold in (0.9, 0.5):
        done = edgeseg("verify", road, "--data", data, "--threshold", threshold, "--json")
        assert done.status == 0, done.err
        figures[threshold] = done.json["miou"]
    assert figures[0.9] > 99.9
    assert figures[0.5] < 99


@pytest.mark.parametrize(
    "target",
    ["onnxruntime", *(pytest.param(t, marks=pytest.mark.long) for t in ("openvino", "jetson"))],
)
def test_every_target_makes_int8_of_it(
    target: str, road: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of zeros has no range of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = _write_truth(tmp_path / "data", road, threshold=0.5)
    others = _write_truth(tmp_path / "others", road, threshold=0.5, first=100)
    recipes = jetson.RECIPES if target == "jetson" else RECIPES
    request = ExportRequest(
        weights=str(road),
        target=target,
        folder=tmp_path / "bundle",
        dataset=open_dataset(str(data)),
        calibration=str(others / "images"),
        precision="int8",
        recipes=(recipes["int8-linear"],),
        limits=replace(LENIENT, max_drop=100),
    )
    bundle = export_bundle(request).bundle
    assert bundle.chosen.precision == "int8"
    assert bundle.chosen.gate is not None
    assert bundle.chosen.gate.pixel_agreement > 95
    if target == "jetson":
        for variant in bundle.manifest.variants:
            assert find_violations(onnx.load(bundle.path(variant.file))) == {}
        return
    with Segmenter(bundle) as segmenter:
        mask = segmenter.segment(street()).mask
    assert differing(mask, above(transformers_probabilities(road, street()), 0.5)) < 0.05


def test_a_threshold_for_several_logits_is_refused(
    edgeseg: Callable[..., Outcome], tmp_path: Path
) -> None:
    folder = small_demo(tmp_path / "demo")
    done = edgeseg("inspect", folder, "--threshold", "0.4")
    assert done.status == 1
    assert "--threshold is for a network with one logit" in done.err
    assert "leave --threshold out" in done.err


@pytest.mark.parametrize("wrong", ["0", "1", "-0.5", "nan", "half"])
def test_a_threshold_is_a_probability(edgeseg: Callable[..., Outcome], wrong: str) -> None:
    done = edgeseg("inspect", "demo", f"--threshold={wrong}")
    assert done.status == 2
    assert "--threshold" in done.err


def test_a_wrong_threshold_of_the_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    binary_mmseg(path, CONFIG.format(more=", threshold=1.5"), street(*SIZE))
    with pytest.raises(CheckpointError, match=r"decode_head.threshold 1.5.* --threshold"):
        read_checkpoint(str(path))
    assert read_checkpoint(str(path), overrides=Overrides(threshold=0.5)).threshold == 0.5


@pytest.mark.parametrize("shape", [(2,), ()])
def test_a_bias_of_another_shape_is_refused(
    shape: tuple[int, ...], road: Path, tmp_path: Path
) -> None:
    folder = _copy(road, tmp_path)
    state = load_file(folder / "model.safetensors")
    state["decode_head.classifier.bias"] = torch.zeros(shape)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"wrong shapes of 1 weight: .*classifier.bias"):
        read_checkpoint(str(folder))


def test_several_logits_have_no_threshold(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    assert read_checkpoint(str(folder), overrides=NO_OVERRIDES).threshold is None


def _copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def _write_truth(root: Path, folder: Path, *, threshold: float, first: int = 0) -> Path:
    """Frames with transformers' masks of 0 and 1."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for seed in range(first, first + 10):
        frame = draw_scene(seed, 0, height=120, width=160).image
        mask = above(transformers_probabilities(folder, frame), threshold)
        Image.fromarray(frame[:, :, ::-1].copy()).save(root / "images" / f"{seed}.png")
        Image.fromarray(mask).save(root / "masks" / f"{seed}.png")
    (root / "dataset.json").write_text(json.dumps({"classes": ["background", "road"]}))
    return root


def test_python_sets_the_threshold(road: Path, tmp_path: Path) -> None:
    data = _write_truth(tmp_path / "data", road, threshold=0.9)
    overrides = Overrides(threshold=0.9)
    options = ExportOptions(
        weights=str(road), precision="fp32", overrides=overrides, folder=tmp_path / "bundle"
    )
    bundle = export_bundle(fill_defaults(options)).bundle
    assert bundle.manifest.checkpoint.threshold == 0.9
    report = verify(
        VerifyRequest(
            source=str(bundle.folder), reference=str(road), overrides=overrides, data=str(data)
        )
    )
    assert report.pixel_agreement is not None
    assert report.miou is not None
    assert min(report.pixel_agreement, report.miou) > 99.9
