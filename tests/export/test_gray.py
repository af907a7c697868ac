"""A network of gray images: exact on a gray camera's frame, and by luma on a color one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from bands import GRAY_MEAN, GRAY_STD, gray_demo, gray_mask, turn_gray
from literal import mmseg_logits, mmseg_state, nvlabs_logits, nvlabs_state
from oracle import FEW, change, deployed_mask, differing, street
from PIL import Image
from search_limits import LENIENT
from torch.nn import functional

from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.overrides import Overrides
from edgeseg.quantize.recipes import RECIPES
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.spec import ChannelOrder

if TYPE_CHECKING:
    from outcome import Outcome

# Of a color frame's mask. Pillow rounds a luma to one of 256 levels before it resizes; the graph
# resizes the colors and rounds no luma.
ROUNDED = 0.005

SIZE = (96, 128)
BACKBONE = "model = dict(backbone=dict(in_channels=1))\n"
LOADING = "test_pipeline = [dict(type='LoadImageFromFile', color_type='grayscale')]\n"
NEW = "data_preprocessor = dict(mean=[114.75], std=[57.6], bgr_to_rgb=False)\n"
OLD = "img_norm_cfg = dict(mean=[114.75], std=[57.6], to_rgb=False)\n"
LITERAL = {
    "mmseg": (mmseg_state, mmseg_logits, "backbone.layers.0.0.projection.weight", "cfg", NEW),
    "nvlabs": (nvlabs_state, nvlabs_logits, "backbone.patch_embed1.proj.weight", "config", OLD),
}


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gray_demo(tmp_path_factory.mktemp("gray") / "demo")


def test_a_gray_cameras_mask_is_that_of_transformers(gray: Path) -> None:
    frame = turn_gray(street())
    assert differing(deployed_mask(gray, frame), gray_mask(gray, frame)) < FEW


def test_a_color_frame_is_turned_to_gray_by_luma(gray: Path) -> None:
    expected = gray_mask(gray, turn_gray(street()))
    assert differing(deployed_mask(gray, street()), expected) < ROUNDED
    # The frame has color: a mean of the channels would be another gray.
    mean = np.repeat(street().mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert differing(gray_mask(gray, mean), expected) > 5 * ROUNDED


def test_on_a_photograph(gray: Path, shared: Path) -> None:
    with Image.open(shared / "data" / "stills" / "city_0.jpg") as photograph:
        frame = turn_gray(np.asarray(photograph.convert("RGB"))[:, :, ::-1])
    assert differing(deployed_mask(gray, frame), gray_mask(gray, frame)) < FEW


@pytest.mark.parametrize("kind", LITERAL)
def test_a_pickle_of_a_gray_network(kind: str, tmp_path: Path) -> None:
    make, compute, first, key, config = LITERAL[kind]
    state = make()
    state[first] = state[first].sum(1, keepdim=True)
    torch.save(
        {"meta": {key: BACKBONE + LOADING + config}, "state_dict": state}, tmp_path / "w.pth"
    )
    frame = turn_gray(street(*SIZE))
    values = (torch.from_numpy(frame[:, :, 0].astype(np.float64)) - 114.75) / 57.6
    logits = compute({name: one.double() for name, one in state.items()}, values[None, None])
    full = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    ours = deployed_mask(tmp_path / "w.pth", frame, size=SIZE)
    assert differing(ours, full.argmax(1)[0].numpy()) < FEW


def test_a_pickle_whose_images_are_read_in_color_is_refused(tmp_path: Path) -> None:
    make, _compute, first, key, config = LITERAL["mmseg"]
    state = make()
    state[first] = state[first].sum(1, keepdim=True)
    loading = LOADING.replace("grayscale", "color")
    torch.save(
        {"meta": {key: BACKBONE + loading + config}, "state_dict": state}, tmp_path / "w.pth"
    )
    with pytest.raises(CheckpointError, match=r"color_type color, .* 1 channel, .* grayscale"):
        read_checkpoint(str(tmp_path / "w.pth"))


def test_a_line_says_what_becomes_of_color(gray: Path) -> None:
    told: list[str] = []
    read_checkpoint(str(gray), say=told.append)
    assert any("gray images; a color frame is turned to gray by its luma" in line for line in told)


def test_nothing_is_assumed_of_its_normalization(gray: Path, tmp_path: Path) -> None:
    shutil.copytree(gray, tmp_path / "bare")
    (tmp_path / "bare" / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"of 1 channel, .* give --mean and --std, one value"):
        read_checkpoint(str(tmp_path / "bare"))
    overrides = Overrides(mean=(GRAY_MEAN,), std=(GRAY_STD,))
    frame = turn_gray(street())
    ours = deployed_mask(tmp_path / "bare", frame, size=SIZE, overrides=overrides)
    assert differing(ours, gray_mask(gray, frame)) < FEW


@pytest.mark.parametrize(
    ("says", "refusal"),
    [
        ({"image_mean": [0.4, 0.4, 0.4]}, "3 values of mean, and the weights take 1 channel"),
        ({"image_std": [0.2, 0.2]}, "2 values of std, and the weights take 1 channel"),
    ],
)
def test_values_of_other_channels_are_refused(
    says: dict[str, object], refusal: str, gray: Path, tmp_path: Path
) -> None:
    shutil.copytree(gray, tmp_path / "other")
    change(tmp_path / "other" / "preprocessor_config.json", **says)
    with pytest.raises(CheckpointError, match=rf"preprocessor_config.json gives {refusal}"):
        read_checkpoint(str(tmp_path / "other"))


def test_it_has_no_order_of_channels(gray: Path) -> None:
    with pytest.raises(CheckpointError, match=r"--channel-order .* takes 1 channel; leave it out"):
        read_checkpoint(str(gray), overrides=Overrides(channel_order=ChannelOrder.RGB))


def test_a_bundle_of_it_runs_and_is_verified(
    edgeseg: Callable[..., Outcome], gray: Path, tmp_path: Path
) -> None:
    data = _write_truth(tmp_path / "data", gray)
    done = edgeseg("export", "--weights", gray, "--data", data, "--precision", "fp32", "-o", "b")
    assert done.status == 0, done.err
    check = open_bundle(Path("b")).manifest.framework
    assert check is not None
    assert (check.name, check.images) == ("transformers", 4)
    assert check.agreement > 99.99
    done = edgeseg("run", "b", "--source", data / "images", "--masks", "masks")
    assert done.status == 0, done.err
    assert len(list(Path("masks").glob("*.png"))) == 10
    done = edgeseg("verify", "b", "--data", data, "--reference", gray, "--json")
    assert done.status == 0, done.err
    assert min(done.json["miou"], done.json["pixel_agreement"]) > 99.9
    told = edgeseg("inspect", gray).err
    assert "aspect squash, 1 channel" in told
    assert "mean 0.45, std 0.226 (of 0..1)" in told


def test_int8_of_it(gray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = _write_truth(tmp_path / "data", gray)
    others = _write_truth(tmp_path / "others", gray, first=100)
    request = ExportRequest(
        weights=str(gray),
        target="onnxruntime",
        folder=tmp_path / "bundle",
        dataset=open_dataset(str(data)),
        calibration=str(others / "images"),
        precision="int8",
        recipes=(RECIPES["int8-linear"],),
        limits=replace(LENIENT, max_drop=100),
    )
    bundle = export_bundle(request).bundle
    assert bundle.chosen.precision == "int8"
    frame = turn_gray(street())
    with Segmenter(bundle) as segmenter:
        assert differing(segmenter.segment(frame).mask, gray_mask(gray, frame)) < 0.05


def _write_truth(root: Path, folder: Path, *, first: int = 0) -> Path:
    """Gray pictures, in files of one channel, with transformers' masks."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for seed in range(first, first + 10):
        frame = turn_gray(draw_scene(seed, 0, height=120, width=160).image)
        Image.fromarray(frame[:, :, 0].copy()).save(root / "images" / f"{seed}.png")
        Image.fromarray(gray_mask(folder, frame)).save(root / "masks" / f"{seed}.png")
    return root
