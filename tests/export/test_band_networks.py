"""Networks of two, four and more channels: exported, proved and measured on bands.

The oracle is transformers' network; the pixels go there band by band, by Pillow and by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from bands import (
    band_demo,
    band_frame,
    band_mask,
    mix_bands,
    statistics,
    to_bands,
    write_truth,
)
from literal import mmseg_logits, mmseg_state
from oracle import FEW, deployed_mask, differing
from PIL import Image
from search_limits import LENIENT
from torch.nn import functional

import edgeseg as package
from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CheckpointError, SourceError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.reference import compute_reference_mask
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.overrides import Overrides
from edgeseg.pixels import to_frame_mask, to_input
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.targets import jetson
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.spec import Aspect, Resize, Upsampling

if TYPE_CHECKING:
    from outcome import Outcome

SIZE = (96, 128)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    made: dict[int, Path] = {}

    def make(channels: int) -> Path:
        if channels not in made:
            made[channels] = band_demo(tmp_path_factory.mktemp("bands") / "demo", channels)
        return made[channels]

    return make


@pytest.fixture(scope="module")
def bundle(networks: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of four bands."""
    folder = tmp_path_factory.mktemp("bundle")
    data = write_truth(folder / "data", networks(4), 4)
    request = ExportRequest(
        weights=str(networks(4)),
        target="onnxruntime",
        folder=folder / "fields",
        dataset=open_dataset(data),
    )
    return export_bundle(request).bundle.folder


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_the_mask_is_that_of_transformers(channels: int, networks: Callable[[int], Path]) -> None:
    folder, frame = networks(channels), band_frame(channels)
    expected = band_mask(folder, frame, SIZE)
    assert differing(deployed_mask(folder, frame), expected) < FEW
    # Their order counts, and nothing reverses it.
    turned = np.ascontiguousarray(frame[:, :, ::-1])
    assert differing(deployed_mask(folder, turned), expected) > 0.1


def test_on_a_photograph(networks: Callable[[int], Path], shared: Path) -> None:
    with Image.open(shared / "data" / "stills" / "city_0.jpg") as photograph:
        frame = to_bands(np.asarray(photograph.convert("RGB")), 5)
    expected = band_mask(networks(5), frame, SIZE)
    assert len(np.unique(expected)) > 4
    assert differing(deployed_mask(networks(5), frame), expected) < FEW


def test_mmsegmentations_network_of_bands(tmp_path: Path) -> None:
    """Its images are read unchanged, and nothing is reversed."""
    mean, std = [10.0, 110.0, 210.0, 60.0], [40.0, 60.0, 80.0, 50.0]
    config = (
        "model = dict(backbone=dict(in_channels=4))\n"
        f"data_preprocessor = dict(mean={mean}, std={std}, bgr_to_rgb=False)\n"
        "test_pipeline = [dict(type='LoadImageFromFile', color_type='{}')]\n"
    )
    state, frame = mmseg_state(), band_frame(4, height=96, width=128)
    first = "backbone.layers.0.0.projection.weight"
    state[first] = mix_bands(state[first], 4)
    values = (frame.astype(np.float64) - np.array(mean)) / np.array(std)
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    logits = mmseg_logits({name: value.double() for name, value in state.items()}, image)
    full = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    path = tmp_path / "w.pth"
    torch.save({"meta": {"cfg": config.format("unchanged")}, "state_dict": state}, path)
    ours = deployed_mask(path, frame, size=SIZE)
    assert differing(ours, full.argmax(1)[0].numpy()) < FEW
    torch.save({"meta": {"cfg": config.format("color")}, "state_dict": state}, path)
    with pytest.raises(CheckpointError, match=r"color_type color, .* 4 channels, .* unchanged"):
        read_checkpoint(str(path))


@pytest.mark.parametrize(
    "target",
    ["onnxruntime", *(pytest.param(t, marks=pytest.mark.long) for t in ("openvino", "jetson"))],
)
def test_every_target_makes_int8_of_it(
    target: str,
    networks: Callable[[int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, frame = networks(5), band_frame(5)
    data = write_truth(tmp_path / "data" / "test", folder, 5)
    write_truth(tmp_path / "data" / "train", folder, 5, first=100)
    recipes = jetson.RECIPES if target == "jetson" else RECIPES
    request = ExportRequest(
        weights=str(folder),
        target=target,
        folder=tmp_path / "bundle",
        dataset=open_dataset(data.parent, split="test"),
        calibration=str(data.parent),
        precision="int8",
        recipes=(recipes["int8-linear"],),
        limits=replace(LENIENT, max_drop=100),
    )
    found = export_bundle(request).bundle
    assert found.chosen.precision == "int8"
    assert found.chosen.gate is not None
    assert found.chosen.gate.pixel_agreement > 95
    assert found.manifest.input_tensor.shape == (1, *SIZE, 5)
    if target == "jetson":
        for variant in found.manifest.variants:
            assert find_violations(onnx.load(found.path(variant.file))) == {}
        return
    with Segmenter(found) as segmenter:
        assert differing(segmenter.segment(frame).mask, band_mask(folder, frame, SIZE)) < 0.05


def test_its_bundle_says_what_it_takes(bundle: Path, networks: Callable[[int], Path]) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.input_tensor.shape == (1, *SIZE, 4)
    assert manifest.input_tensor.layout == "NHWC, channels in the order of their files"
    assert [list(manifest.input.mean), list(manifest.input.std)] == list(statistics(4))
    assert "channel_order" not in manifest.checkpoint.input_sources
    assert manifest.parity.max_abs_diff < 1e-3
    for golden in manifest.golden:
        frame = np.load(bundle / golden.frame)
        assert frame.shape == (120, 160, 4)
        with Image.open(bundle / golden.mask) as mask:
            expected = band_mask(networks(4), frame, SIZE)
            assert differing(np.asarray(mask), expected) < FEW


@pytest.mark.parametrize("file", ["{}.tif", "{}.npy"])
def test_verify_measures_it(
    file: str,
    edgeseg: Callable[..., Outcome],
    bundle: Path,
    networks: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    data = write_truth(tmp_path / "data", networks(4), 4, file=file)
    options = ("--data", data, "--reference", networks(4), "--report", "report", "--json")
    done = edgeseg("verify", bundle, *options)
    assert done.status == 0, done.err
    assert min(done.json["miou"], done.json["pixel_agreement"]) > 99.9
    assert done.json["images"] == 10
    assert "no image is drawn here: the images have 4 channels" in done.json["notes"]
    assert Path("report/report.html").exists()
    assert "next: edgeseg bench" in done.err


def test_verify_measures_it_through_windows(
    edgeseg: Callable[..., Outcome],
    bundle: Path,
    networks: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    """Images of 120x160, at their own size: four windows each."""
    data = write_truth(tmp_path / "data", networks(4), 4)
    options = ("--data", data, "--reference", networks(4), "--protocol", "slide", "--json")
    done = edgeseg("verify", bundle, *options)
    assert done.status == 0, done.err
    assert (done.json["windows"]["height"], done.json["windows"]["short_px"]) == (96, None)
    assert done.json["pixel_agreement"] > 99.9
    assert done.json["miou"] < 99  # the truth is of whole images


def test_python_segments_arrays(bundle: Path, networks: Callable[[int], Path]) -> None:
    frame = band_frame(4)
    with package.open(bundle) as segmenter:
        mask = segmenter.segment(frame).mask
        assert differing(mask, band_mask(networks(4), frame, SIZE)) < FEW
        for wrong in (frame[:, :, :3], band_frame(5), frame[:, :, 0], frame.astype(np.float32)):
            with pytest.raises(SourceError, match=r"\(height, width, 4\), .*; got (ui|fl)"):
                segmenter.segment(wrong)
        with pytest.raises(SourceError, match="takes images of 4 channels"):
            next(segmenter.stream("demo"))


@pytest.mark.parametrize("source", ["demo", "missing.mp4"])
def test_no_source_gives_its_images(
    source: str, edgeseg: Callable[..., Outcome], bundle: Path
) -> None:
    done = edgeseg("run", bundle, "--source", source)
    assert done.status == 1
    (line,) = done.err.strip().splitlines()
    assert "takes images of 4 channels, and a source gives frames of blue, green and red" in line
    assert "edgeseg verify BUNDLE --data DATASET" in line
    assert "edgeseg.open(BUNDLE).segment(frame)" in line


@pytest.mark.parametrize(("channels", "file"), [(5, "{}.npy"), (4, "{}.tif")])
def test_a_sweep_measures_and_times_it(
    channels: int,
    file: str,
    edgeseg: Callable[..., Outcome],
    networks: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    data = write_truth(tmp_path / "data", networks(channels), channels, file=file)
    done = edgeseg(
        *("sweep", "--weights", networks(channels), "--data", data, "--target", "onnxruntime"),
        *("--precision", "fp32", "--size", "96x128", "-o", "sweep", "--json"),
    )
    assert done.status == 0, done.err
    (row,) = done.json["rows"]
    assert row["status"] == "passed"
    assert row["miou"] > 99.9
    assert row["latency_ms"] > 0
    assert done.json["frame"] == [120, 160]
    assert "next: edgeseg verify" in done.err


def test_corruptions_are_of_color(
    edgeseg: Callable[..., Outcome], bundle: Path, networks: Callable[[int], Path], tmp_path: Path
) -> None:
    data = write_truth(tmp_path / "data", networks(4), 4)
    done = edgeseg("verify", bundle, "--data", data, "--corruptions", "fog")
    assert done.status != 0
    assert "takes 4 channels; leave --corruptions out" in done.err


def test_a_reference_of_other_channels_is_refused(
    edgeseg: Callable[..., Outcome], bundle: Path, networks: Callable[[int], Path], tmp_path: Path
) -> None:
    data = write_truth(tmp_path / "data", networks(4), 4)
    done = edgeseg("verify", bundle, "--data", data, "--reference", "demo")
    assert done.status == 1
    assert "takes images of 3 channels" in done.err


def test_no_framework_checks_it(
    edgeseg: Callable[..., Outcome], networks: Callable[[int], Path], tmp_path: Path
) -> None:
    data = write_truth(tmp_path / "data", networks(2), 2, file="{}.png")
    done = edgeseg(
        *("export", "--weights", networks(2), "--data", data, "--precision", "fp32", "-o", "b"),
        *("--size", "128x96"),
    )
    assert done.status == 0, done.err
    assert "not checked with transformers: it gets color or gray images" in done.err
    assert open_bundle(Path("b")).manifest.framework is None
    assert "which are 120x160 (height x width); did you mean --size 96x128?" in done.err
    assert "next: edgeseg verify b --data DATASET" in done.err


def test_bench_and_build_take_its_golden_frames(
    edgeseg: Callable[..., Outcome], bundle: Path
) -> None:
    for command in (("bench", bundle, "--frames", "2"), ("build", bundle)):
        done = edgeseg(*command)
        assert done.status == 0, done.err
        assert "next: edgeseg verify" in done.err
    done = edgeseg("bench", bundle, "--frames", "2", "--end-to-end")
    assert done.status == 1
    assert "takes images of 4 channels" in done.err


def test_opencvs_rule_resizes_bands(networks: Callable[[int], Path], tmp_path: Path) -> None:
    """The reference resizes by its own code: golden masks show both."""
    data = write_truth(tmp_path / "data", networks(5), 5)
    overrides = Overrides(resize=Resize.OPENCV_BILINEAR)
    found = _export(networks(5), tmp_path, dataset=open_dataset(data), overrides=overrides)
    variant = found.manifest.chosen.variant
    assert min(golden.agreement[variant] for golden in found.manifest.golden) > 99.9


def test_the_reference_pads_bands_as_the_graph_does(networks: Callable[[int], Path]) -> None:
    """Here to the size of the input, which some frameworks ask for: no mean is given to another."""
    checkpoint = read_checkpoint(str(networks(5)), overrides=Overrides(aspect=Aspect.KEEP))
    spec = replace(checkpoint.input, upsampling=Upsampling.ALIGN_CORNERS)
    frame = band_frame(5, height=90, width=300)
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    engine = OrtBackend(to_onnx(deployed, height=96, width=128).SerializeToString())
    mask = to_frame_mask(engine.infer(to_input(frame, spec)), spec, frame)
    engine.close()
    assert differing(compute_reference_mask(checkpoint.model, spec, frame), mask) <= FEW


def _export(weights: Path | str, folder: Path, **options: Any) -> Any:
    request = ExportRequest(
        weights=str(weights), target="onnxruntime", folder=folder / "bundle", **options
    )
    return export_bundle(request).bundle


def test_inspect_shows_its_channels(
    edgeseg: Callable[..., Outcome], networks: Callable[[int], Path], bundle: Path
) -> None:
    done = edgeseg("inspect", networks(5), "--json")
    assert done.status == 0, done.err
    assert done.json["channels"] == 5
    assert "5 channels" in done.err
    assert "takes images of 5 channels, in the order of their files" in done.err
    assert "aspect squash, 4 channels" in edgeseg("inspect", bundle).err
    assert json.loads(edgeseg("inspect", bundle, "--json").out)["input_tensor"]["shape"][3] == 4
