"""NVIDIA TAO's SegFormer, judged by its network spelled out from its public source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from literal import nvlabs_logits, tao_logits
from oracle import FEW, deployed_mask, differing, street
from PIL import Image
from renamed import nvlabs_state, tao_file, tao_state
from torch.nn import functional

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.layouts import TAO
from edgeseg.images import read_image
from edgeseg.pixels import Bgr, ClassMap


def tao_mask(frame: Bgr, side: int, dtype: torch.dtype = torch.float32) -> ClassMap:
    """Pillow's bicubic resizing to a square, mean and std of 0.5, logits at the frame's size."""
    image = Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
    values = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(dtype) / 255 - 0.5) / 0.5
    state = {name: value.to(dtype) for name, value in tao_state().items()}
    logits = tao_logits(state, values)
    full = functional.interpolate(logits, frame.shape[:2], mode="bilinear", align_corners=False)
    return full.argmax(dim=1)[0].numpy().astype(np.uint8)


@pytest.mark.parametrize("frame_size", [(120, 160), (256, 256), (311, 200)], ids=str)
def test_masks_are_those_of_the_spelled_out_network(
    tmp_path: Path, frame_size: tuple[int, int]
) -> None:
    path = tao_file(tmp_path / "segformer_model_latest.pth")
    frame = street(*frame_size)
    expected = tao_mask(frame, 256)
    assert len(np.unique(expected)) > 4
    assert differing(deployed_mask(path, frame), expected) <= FEW


def test_masks_of_a_photograph_are_those_of_the_spelled_out_network(
    tmp_path: Path, shared: Path
) -> None:
    frame = read_image(shared / "data" / "stills" / "city_0.jpg")
    path = tao_file(tmp_path / "model.pth")
    assert differing(deployed_mask(path, frame, size=(512, 512)), tao_mask(frame, 512)) <= FEW


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    lines: list[str] = []
    checkpoint = read_checkpoint(str(tao_file(tmp_path / "model.pth")), say=lines.append)
    told = "\n".join(lines)
    assert "read as the layout of NVIDIA TAO" in told
    assert "size 256x256 (height x width), resizing rule pillow-bicubic, aspect squash" in told
    assert "mean 0.5,0.5,0.5" in told
    assert checkpoint.layout == "tao"
    assert checkpoint.spec.name == "b0"


def test_the_bias_before_batch_norm_counts(tmp_path: Path) -> None:
    state = tao_state()
    del state["decoder.linear_fuse.0.bias"]
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"lacks 1 weight: decoder\.linear_fuse\.0\.bias"):
        read_checkpoint(str(tmp_path / "model.pth"))
    assert TAO.fuse_bias == "decoder.linear_fuse.0.bias"
    state["decoder.linear_fuse.0.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"wrong shapes of 1 weight: decoder\.linear_fuse\.0"):
        read_checkpoint(str(tmp_path / "model.pth"))
    state["decoder.linear_fuse.0.bias"] = torch.full((256,), torch.nan)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in 1 weight"):
        read_checkpoint(str(tmp_path / "model.pth"))


# What TAO 4 and 5 hand to mmengine, which keeps it in the file: the ISBI example, shortened.
OLD_CONFIG = {
    "data_preprocessor": {
        "type": "SegDataPreProcessor",
        "size": (96, 128),
        "bgr_to_rgb": True,
        "mean": [127.5, 127.5, 127.5],
        "std": [127.5, 127.5, 127.5],
        "pad_val": 0,
        "seg_pad_val": 255,
    },
    "model": {
        "type": "EncoderDecoder",
        "backbone": {"type": "mit_b0", "resolution": (128, 96), "init_cfg": {"checkpoint": None}},
        "decode_head": {
            "type": "TAOSegFormerHead",
            "in_channels": [32, 64, 160, 256],
            "in_index": [0, 1, 2, 3],
            "feature_strides": [4, 8, 16, 32],
            "channels": 128,
            "align_corners": False,
            "decoder_params": {"embed_dim": 256},
            "norm_cfg": {"type": "SyncBN", "requires_grad": True},
            "num_classes": 11,
            "img_shape": [96, 128],
            "phase": "train",
        },
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    },
    "test_dataloader": None,
}


def test_an_older_file_says_its_normalization(tmp_path: Path) -> None:
    """It has mmsegmentation's metadata and NVlabs' names."""
    state = nvlabs_state() | {"decode_head.conv_seg.weight": torch.zeros(11, 128, 1, 1)}
    names = tuple(f"part {index}" for index in range(11))
    text = "\n".join(f"{key} = {value!r}" for key, value in OLD_CONFIG.items())
    palette = [[index, 0, 0] for index in range(11)]
    meta = {"cfg": text, "dataset_meta": {"classes": names, "palette": palette}}
    torch.save({"meta": meta, "state_dict": state}, tmp_path / "iter_1000.pth")
    lines: list[str] = []
    checkpoint = read_checkpoint(str(tmp_path / "iter_1000.pth"), say=lines.append)
    assert any("names the decoder TAOSegFormerHead" in line for line in lines)
    assert (checkpoint.input.height, checkpoint.input.width) == (96, 128)
    assert checkpoint.input.mean == checkpoint.input.std == (0.5, 0.5, 0.5)
    assert checkpoint.labels.classes == names
    frame = street(96, 128)
    rgb = torch.from_numpy(frame[:, :, ::-1].copy()).permute(2, 0, 1)[None]
    logits = nvlabs_logits(state, (rgb - 127.5) / 127.5)
    full = functional.interpolate(logits, (96, 128), mode="bilinear", align_corners=False)
    expected = full.argmax(dim=1)[0].numpy().astype(np.uint8)
    assert differing(deployed_mask(tmp_path / "iter_1000.pth", frame), expected) <= FEW


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("backbone.cls_attn_blocks.0.norm1.weight", "behind FAN"),
        ("backbone.radio.radio.model.blocks.0.attn.qkv.weight", "behind C-RADIO"),
        ("backbone.level_embed", r"behind a ViT \(NV-DINOv2 or NVCLIP\)"),
    ],
)
@pytest.mark.parametrize("head", ["decoder", "decode_head"])
def test_other_backbones_are_refused_by_name(
    tmp_path: Path, head: str, key: str, told: str
) -> None:
    """Behind the decoder of TAO 5 and 6, and behind that of the older ones, built on OpenMMLab."""
    state = {f"{head}.linear_pred.weight": torch.zeros(11, 256, 1, 1), key: torch.zeros(3)}
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=told):
        read_checkpoint(str(tmp_path / "model.pth"))


def test_an_encrypted_checkpoint_is_named(tmp_path: Path) -> None:
    content = {"epoch": 3, "state_dict": b"sealed", "state_dict_encrypted": "aes"}
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"encrypted by NVIDIA TAO; train.*without a key"):
        read_checkpoint(str(tmp_path / "model.pth"))
