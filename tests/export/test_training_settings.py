"""What mmsegmentation's files say of network and test: defaults, windows, padding, names."""

from __future__ import annotations

from pathlib import Path

import literal
import numpy as np
import pytest
import torch
from literal import mmseg_logits, mmseg_state
from oracle import FEW, deployed_mask, differing, street
from torch.nn import functional

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

SIZE = (96, 128)
ENCODER = "type='MixVisionTransformer', embed_dims=32"


def _read(tmp_path: Path, config: str, **meta: object) -> tuple[Checkpoint, list[str]]:
    path, told = tmp_path / "w.pth", []
    torch.save({"meta": {"cfg": config} | meta, "state_dict": mmseg_state()}, path)
    return read_checkpoint(str(path), say=told.append), told


@pytest.mark.parametrize("name", ["MixVisionTransformer", "mmseg.MixVisionTransformer"])
def test_heads_that_no_file_gives_are_the_classs_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmsegmentation's class has 1, 2, 4, 8 heads by default, and 32 channels for each here."""
    monkeypatch.setattr(literal, "HEADS", (1, 2, 4, 8))
    monkeypatch.setattr(literal, "WIDTHS", (32, 64, 128, 256))
    state, frame = mmseg_state(), street(*SIZE)
    config = f"model = dict(backbone=dict(type={name!r}, embed_dims=32))"
    torch.save({"meta": {"cfg": config}, "state_dict": state}, tmp_path / "w.pth")
    pixels = torch.from_numpy(frame[:, :, ::-1] / 255.0)
    image = (pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    logits = mmseg_logits(state, image.permute(2, 0, 1)[None].float())
    full = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    ours = deployed_mask(tmp_path / "w.pth", frame, size=SIZE)
    assert differing(ours, full.argmax(1)[0].numpy().astype(np.uint8)) < FEW


@pytest.mark.parametrize(
    ("backbone", "says"),
    [
        (ENCODER, r"embed_dims 32 and num_heads 1, 2, 4, 8, .* widths of 32, 64, 128, 256"),
        (f"{ENCODER}, num_heads=[1, 2, 10, 8]", "embed_dims 32 and num_heads 1, 2, 10, 8"),
        ("type='MixVisionTransformer', num_heads=[1, 2, 5, 8]", "embed_dims 64"),
        ("embed_dims=[32, 64, 160, 512]", "embed_dims .*512.*, but the weights have"),
    ],
)
def test_widths_that_contradict_the_weights_are_refused(
    backbone: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=says) as caught:
        _read(tmp_path, f"model = dict(backbone=dict({backbone}))")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("channels=128", "decode_head.channels 128, but the weights have 256"),
        ("in_channels=[64, 128, 320, 512]", "decode_head.in_channels"),
        ("in_index=[3, 2, 1, 0]", "decode_head.in_index"),
        ("act_cfg=dict(type='GELU')", "decode_head.act_cfg.type GELU; edgeseg computes ReLU only"),
    ],
)
def test_a_decoder_that_is_not_the_weights_is_refused(head: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=says):
        _read(tmp_path, f"model = dict(decode_head=dict({head}))")


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            "model = dict(test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(768, 768)))",
            (
                "sliding windows of 1024x1024 pixels, 768x768 apart; edgeseg sees a frame whole, "
                "and with edgeseg run --tile through windows of the bundle's size. edgeseg verify "
                "CHECKPOINT --protocol slide measures through windows of 1024x1024 pixels, 768 "
                "apart"
            ),
        ),
        (
            "test_cfg = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))",
            (
                "512x512 pixels, 341x341 apart; edgeseg sees a frame whole, and with edgeseg run "
                "--tile through windows of the bundle's size. edgeseg verify CHECKPOINT --protocol "
                "slide measures through windows of 1024x1024 pixels, 768 apart, which are not these"
            ),
        ),
        (
            (
                "model = dict(test_cfg=dict(mode='whole'))\n"
                "test_pipeline = [dict(type='Resize', scale=(2048, 512), keep_ratio=True)]"
            ),
            "tests a frame whole; edgeseg verify --protocol keep measures that way",
        ),
        (
            (
                "model = dict(test_cfg=dict(mode='whole'))\n"
                "test_pipeline = [dict(type='Resize', scale=(128, 96), keep_ratio=False)]"
            ),
            "tests a frame whole; edgeseg verify --protocol ss measures that way",
        ),
        (
            "test_pipeline = [dict(type='Resize'), dict(type='Pad', size_divisor=32, pad_val=0)]",
            (
                "pads frames in the test (size_divisor 32, pad_val 0); edgeseg pads below and at "
                "the right, to the input's size, with the mean color"
            ),
        ),
        (
            "data_preprocessor = dict(test_cfg=dict(size=(96, 128)), bgr_to_rgb=True)",
            "pads frames in the test (size (96, 128))",
        ),
    ],
)
def test_how_the_training_program_tests_is_said(config: str, line: str, tmp_path: Path) -> None:
    _, told = _read(tmp_path, config)
    assert any(one.endswith(line) or f"{line};" in one for one in told), told


@pytest.mark.parametrize(
    "config",
    [
        "data_preprocessor = dict(test_cfg=dict(size=(96, 128)))",
        "model = dict(test_cfg=dict(mode='slide', crop_size=(96, 128), stride=(64, 64)))",
    ],
)
def test_the_size_is_that_of_the_test(config: str, tmp_path: Path) -> None:
    found, _ = _read(tmp_path, config)
    assert (found.input.height, found.input.width) == SIZE


def test_both_ways_to_reverse_channels_are_one(tmp_path: Path) -> None:
    part = "data_preprocessor = dict(mean=[1, 2, 3], std=[4, 5, 6], {}=True)"
    one, other = (_read(tmp_path, part.format(f))[0] for f in ("bgr_to_rgb", "rgb_to_bgr"))
    neither, _ = _read(tmp_path, part.format("enable"))
    assert one.input == other.input
    assert one.channel_order == other.channel_order != neither.channel_order
    with pytest.raises(CheckpointError, match="bgr_to_rgb and rgb_to_bgr"):
        _read(tmp_path, part.format("bgr_to_rgb=True, rgb_to_bgr"))


@pytest.mark.parametrize(
    "config",
    [
        "test_dataloader = dict(dataset=dict(metainfo=dict(classes={}, palette={})))",
        "data = dict(test=dict(classes={}, palette={}))",
    ],
)
def test_names_that_only_the_configuration_has(config: str, tmp_path: Path) -> None:
    names = [f"thing {index}" for index in range(19)]
    colors = [[index, index, 200] for index in range(19)]
    found, _ = _read(tmp_path, config.format(names, colors))
    assert found.labels.classes == tuple(names)
    assert found.labels.palette[7] == (7, 7, 200)
