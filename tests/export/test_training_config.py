"""The training configuration inside a pickle: its normalization, order of channels and names count.

The oracle is mmsegmentation's and NVlabs' network spelled out literally, behind its pixels done by
hand: bytes in the order that OpenCV reads them, turned or not, minus mean, by std.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from literal import mmseg_logits, mmseg_state, nvlabs_logits, nvlabs_state
from oracle import FEW, deployed_mask, differing, street
from torch.nn import functional

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.spec import Aspect, Resize

SIZE = (96, 128)
FRAME = street(*SIZE)

NEW = """
crop_size = (96, 128)
data_preprocessor = dict(
    bgr_to_rgb={turned}, mean={mean}, std={std}, pad_val=0, size=(96, 128),
    type='SegDataPreProcessor')
model = dict(
    backbone=dict(
        act_cfg=dict(type='GELU'), embed_dims=32, in_channels=3, mlp_ratio=4,
        norm_cfg=dict(eps=1e-06, type='LN'), num_heads=[1, 2, 5, 8], num_layers=[2, 2, 2, 2],
        out_indices=(0, 1, 2, 3), patch_sizes=[7, 3, 3, 3], qkv_bias=True,
        sr_ratios=[8, 4, 2, 1], type='MixVisionTransformer'),
    decode_head=dict(
        align_corners=False, channels=256, norm_cfg=dict(requires_grad=True, type='SyncBN'),
        num_classes=19, type='SegformerHead'),
    test_cfg=dict(mode='whole'), type='EncoderDecoder')
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(keep_ratio={keep}, scale=(128, 96), type='Resize'),
    dict(type='PackSegInputs'),
]
"""

OLD = """
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='mit_b0', style='pytorch'),
    decode_head=dict(
        type='SegFormerHead', in_channels=[32, 64, 160, 256], channels=128, num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True), align_corners=False,
        decoder_params=dict(embed_dim=256)))
img_norm_cfg = dict(mean={mean}, std={std}, to_rgb={turned})
crop_size = (96, 128)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=(128, 96), flip=False,
        transforms=[
            dict(type='Resize', keep_ratio={keep}),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean={mean}, std={std}, to_rgb={turned}),
            dict(type='ImageToTensor', keys=['img']),
        ])
]
"""


@dataclass(frozen=True, kw_only=True)
class Trained:
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    turned: bool
    keep: bool = True


CASES = [
    Trained(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), turned=True),
    Trained(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), turned=False),
    Trained(mean=(103.53, 116.28, 123.675), std=(57.0, 58.0, 59.0), turned=False),
    Trained(mean=(10.0, 110.0, 210.0), std=(40.0, 60.0, 80.0), turned=True, keep=False),
    Trained(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0), turned=True),
]

LITERAL = {
    "mmseg": (mmseg_state, mmseg_logits, "cfg", NEW),
    "nvlabs": (nvlabs_state, nvlabs_logits, "config", OLD),
}


def _write(path: Path, kind: str, trained: Trained, **meta: object) -> dict[str, torch.Tensor]:
    make, _logits, key, text = LITERAL[kind]
    state = make()
    config = text.format(
        mean=list(trained.mean), std=list(trained.std), turned=trained.turned, keep=trained.keep
    )
    torch.save({"meta": {key: config} | meta, "state_dict": state}, path)
    return state


def _mask_by_hand(kind: str, state: dict[str, torch.Tensor], trained: Trained) -> np.ndarray:
    pixels = FRAME[:, :, ::-1] if trained.turned else FRAME
    values = (pixels.astype(np.float64) - np.array(trained.mean)) / np.array(trained.std)
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    logits = LITERAL[kind][1]({key: value.double() for key, value in state.items()}, image)
    full = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    return full.argmax(1)[0].numpy()


@pytest.mark.parametrize("kind", ["mmseg", "nvlabs"])
@pytest.mark.parametrize("trained", CASES, ids=str)
def test_the_mask_is_that_of_the_network_as_trained(
    kind: str, trained: Trained, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    state = _write(path, kind, trained)
    assert differing(deployed_mask(path, FRAME), _mask_by_hand(kind, state, trained)) < FEW


@pytest.mark.parametrize("kind", ["mmseg", "nvlabs"])
def test_resizing_rule_and_size_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    for keep, aspect in ((True, Aspect.KEEP), (False, Aspect.SQUASH)):
        trained = Trained(mean=CASES[0].mean, std=CASES[0].std, turned=True, keep=keep)
        _write(path, kind, trained)
        told: list[str] = []
        found = read_checkpoint(str(path), say=told.append)
        assert (found.input.resize, found.input.aspect) == (Resize.OPENCV_BILINEAR, aspect)
        assert (found.input.height, found.input.width) == SIZE
        assert found.channel_order.value == "rgb"
        assert set(found.input_sources.values()) == {"the training configuration in the file"}
        assert not any("assumed" in line for line in told)


def test_a_preprocessor_counts_wherever_it_stands(tmp_path: Path) -> None:
    """1.x lets it stand at the top, below the model, or both; by default Resize keeps no ratio."""
    part = "dict(size=(96, 160), mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True)"
    step = "test_pipeline = [dict(type='Resize')]\n"
    found = []
    for text in (f"data_preprocessor = {part}", f"model = dict(data_preprocessor={part})"):
        content = {"meta": {"cfg": step + text}, "state_dict": mmseg_state()}
        torch.save(content, tmp_path / "w.pth")
        found.append(read_checkpoint(str(tmp_path / "w.pth")))
    above, below = found
    assert below.input == above.input
    assert (below.input.height, below.input.width) == (96, 160)
    assert below.input.aspect is Aspect.SQUASH


def test_names_and_colors_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    names = tuple(f"thing {index}" for index in range(19))
    colors = [[index, 2 * index, 3 * index] for index in range(19)]
    _write(path, "mmseg", CASES[0], dataset_meta={"classes": names, "palette": colors})
    labels = read_checkpoint(str(path)).labels
    assert labels.classes == names
    assert labels.palette == tuple(tuple(color) for color in colors)


def test_reduce_zero_label_is_do_reduce_labels(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    text = "train_pipeline = [dict(type='LoadAnnotations', reduce_zero_label=True)]"
    torch.save({"meta": {"cfg": text}, "state_dict": mmseg_state()}, path)
    assert read_checkpoint(str(path)).reduce_labels


@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_batch_norms_eps_is_honored(eps: float, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    text = f"model = dict(decode_head=dict(norm_cfg=dict(type='BN', eps={eps})))"
    torch.save({"meta": {"cfg": text}, "state_dict": mmseg_state()}, path)
    head = read_checkpoint(str(path)).model.head
    assert head.norm.eps == eps
    assert all(projection[1].eps == eps for projection in head.projections)


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("align_corners", "align_corners=False", "align_corners=True"),
        ("interpolate_mode", "channels=256", "channels=256, interpolate_mode='nearest'"),
        ("num_classes", "num_classes=19", "num_classes=21"),
        ("out_channels", "num_classes=19", "num_classes=2, out_channels=1"),
        ("act_cfg", "type='GELU'", "type='ReLU'"),
        ("num_heads", "[1, 2, 5, 8]", "[1, 2, 3, 8]"),
        ("sr_ratios", "[8, 4, 2, 1]", "[8, 4, 2, 2]"),
        ("patch_sizes", "[7, 3, 3, 3]", "[7, 3, 3, 5]"),
        ("mlp_ratio", "mlp_ratio=4", "mlp_ratio=2"),
        ("qkv_bias", "qkv_bias=True", "qkv_bias=False"),
        ("in_channels", "in_channels=3", "in_channels=4"),
        ("out_indices", "(0, 1, 2, 3)", "(3, 2, 1, 0)"),
        ("interpolation", "scale=(128, 96)", "scale=(128, 96), interpolation='nearest'"),
        ("backend", "scale=(128, 96)", "scale=(128, 96), backend='tifffile'"),
        ("backend", "scale=(128, 96)", "scale=(128, 96), backend=['cv2']"),
        ("color_type", "type='LoadImageFromFile'", "type='LoadImageFromFile', color_type='gray'"),
        ("mean", "[127.5, 127.5, 127.5]", "[127.5, 127.5]"),
        # said, and not plain
        ("mean", "mean=[127.5, 127.5, 127.5]", "mean=[127.5] * 3"),
        ("std", "std=[127.5, 127.5, 127.5]", "std=STD"),
        ("bgr_to_rgb", "bgr_to_rgb=True", "bgr_to_rgb=not TURNED"),
        ("keep_ratio", "keep_ratio=True", "keep_ratio=KEEP"),
        ("align_corners", "align_corners=False", "align_corners=CORNERS"),
        ("num_heads", "[1, 2, 5, 8]", "list(HEADS)"),
    ],
)
def test_what_edgeseg_does_not_compute_is_refused_by_name(
    name: str, was: str, now: str, tmp_path: Path
) -> None:
    text = NEW.format(mean=[127.5] * 3, std=[127.5] * 3, turned=True, keep=True)
    assert was in text
    torch.save(
        {"meta": {"cfg": text.replace(was, now, 1)}, "state_dict": mmseg_state()},
        tmp_path / "w.pth",
    )
    with pytest.raises(CheckpointError, match=name) as caught:
        read_checkpoint(str(tmp_path / "w.pth"))
    assert "the training configuration in" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_heads_are_honored(tmp_path: Path) -> None:
    text = "model = dict(backbone=dict(num_heads=[2, 4, 10, 16]))"
    torch.save({"meta": {"cfg": text}, "state_dict": mmseg_state()}, tmp_path / "w.pth")
    told: list[str] = []
    model = read_checkpoint(str(tmp_path / "w.pth"), say=told.append).model
    assert [stage.blocks[0].attention.heads for stage in model.stages] == [2, 4, 10, 16]
    assert any("heads 2, 4, 10, 16" in line and "usual: 1, 2, 5, 8" in line for line in told)


def test_windows_and_a_decoder_of_ones_own_are_said(tmp_path: Path) -> None:
    text = "model = dict(decode_head=dict(type='MyHead'), test_cfg=dict(mode='slide'))"
    torch.save({"meta": {"cfg": text}, "state_dict": mmseg_state()}, tmp_path / "w.pth")
    told: list[str] = []
    read_checkpoint(str(tmp_path / "w.pth"), say=told.append)
    assert any("sliding windows" in line for line in told)
    assert any("MyHead" in line and "SegformerHead" in line for line in told)


def test_a_configuration_that_holds_itself_ends(tmp_path: Path) -> None:
    config: dict[str, object] = {"test_pipeline": []}
    config["test_pipeline"] = [config]
    content = {"meta": {"cfg": config}, "state_dict": mmseg_state()}
    torch.save(content, tmp_path / "w.pth", pickle_protocol=pickle.HIGHEST_PROTOCOL)
    assert read_checkpoint(str(tmp_path / "w.pth")).layout == "mmsegmentation"


@pytest.mark.parametrize("unread", ["this is (not python", "# " * (1 << 20), Decimal(1)])
@pytest.mark.parametrize("key", ["cfg", "config"])
def test_a_configuration_that_cannot_be_read_is_said(
    key: str, unread: object, tmp_path: Path
) -> None:
    torch.save({"meta": {key: unread}, "state_dict": mmseg_state()}, tmp_path / "w.pth")
    told: list[str] = []
    read_checkpoint(str(tmp_path / "w.pth"), say=told.append)
    (line,) = (line for line in told if "cannot read" in line)
    assert f"a training configuration, meta['{key}']" in line


@pytest.mark.parametrize("meta", [{}, {"cfg": ""}, {"cfg": "crop_size = (96, 128)"}])
def test_nothing_is_said_of_a_configuration_without_one(meta: object, tmp_path: Path) -> None:
    torch.save({"meta": meta, "state_dict": mmseg_state()}, tmp_path / "w.pth")
    told: list[str] = []
    read_checkpoint(str(tmp_path / "w.pth"), say=told.append)
    assert told
    assert not [line for line in told if "cannot read" in line]
