"""Kinds whose Mix Transformer is not the demo's: its trained weights, cut or repeated.

A weight that a larger network needs is repeated, and divided by the number of times that its inputs
are there. So the network computes nearly what the demo computes, and its mask is a street.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from renamed import SMP_CONFIG, smp_state
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from zoo.frameworks import SIZED, run_smp
from zoo.huggingface import copy_demo, judge_with, load_demo
from zoo.kind import Kind, Mask, Photo

Fields = Mapping[str, Any]

FUSE = "decode_head.linear_fuse.weight"
BLOCK = re.compile(r"(?<=\.blocks\.)\d+")
ENCODERS: Mapping[str, Fields] = MappingProxyType(
    {
        "B1": {"hidden_sizes": [64, 128, 320, 512]},
        "B2": {
            "hidden_sizes": [64, 128, 320, 512],
            "depths": [3, 4, 6, 3],
            "decoder_hidden_size": 768,
        },
        "depths 1, 2, 3, 1": {"depths": [1, 2, 3, 1]},
        "widths 32, 64, 120, 192": {
            "hidden_sizes": [32, 64, 120, 192],
            "num_attention_heads": [1, 2, 5, 6],
        },
        "reductions 4, 4, 2, 1": {"sr_ratios": [4, 4, 2, 1]},
        "ratios 4, 2, 3, 4": {"mlp_ratios": [4, 2, 3, 4]},
        "patches 5, 3, 3, 3": {"patch_sizes": [5, 3, 3, 3]},
        "decoder width 192": {"decoder_hidden_size": 192},
    }
)


def grow_demo(fields: Fields) -> nn.Module:
    """Transformers' network of another form, with the demo's weights."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation
    from zoo.kind import DEMO

    settings = SegformerConfig.from_pretrained(DEMO)
    settings.update(fields)
    model = SegformerForSemanticSegmentation(settings).eval()
    trained = load_demo().state_dict()
    grown = {}
    for name, like in model.state_dict().items():
        source = trained[BLOCK.sub(lambda found: str(int(found[0]) % 2), name)]
        if name == FUSE:  # of four scales, one after the other
            parts = zip(source.chunk(4, dim=1), like.chunk(4, dim=1), strict=True)
            grown[name] = torch.cat([fit(part, one.shape) for part, one in parts], dim=1)
        else:
            grown[name] = fit(source, like.shape)
    model.load_state_dict(grown)
    return model.requires_grad_(requires_grad=False)


def fit(source: Tensor, shape: torch.Size) -> Tensor:
    """Cut and repeat a weight to a shape; the sum over its inputs stays about the same.

    Of a kernel the middle stays.
    """
    times = [-(-new // old) for new, old in zip(shape, source.shape, strict=True)]
    whole = source.repeat(times)
    for axis, side in enumerate(shape):
        first = (whole.shape[axis] - side) // 2 if axis > 1 else 0
        whole = whole.narrow(axis, first, side)
    return (whole / times[1] if len(shape) > 1 else whole).contiguous()


def _save(fields: Fields, folder: Path) -> Path:
    copy_demo(folder)
    (folder / "model.safetensors").unlink()
    grow_demo(fields).save_pretrained(folder)
    return folder


def _judge(fields: Fields, photo: Photo) -> Mask:
    return judge_with(grow_demo(fields))(photo)


def _save_for_smp(folder: Path) -> Path:
    """What segmentation_models_pytorch saves of a network with the encoder mit_b1."""
    import json

    theirs = load_file(_save(ENCODERS["B1"], folder / "grown") / "model.safetensors")
    saved = folder / "saved"
    saved.mkdir()
    save_file(smp_state(theirs), saved / "model.safetensors")
    (saved / "config.json").write_text(json.dumps(SMP_CONFIG | {"encoder_name": "mit_b1"}))
    return saved


KINDS = [
    *(
        Kind(
            name=f"Mix Transformer: {name}",
            make=partial(_save, fields),
            judge=partial(_judge, fields),
            judged_by="transformers",
        )
        for name, fields in ENCODERS.items()
    ),
    Kind(
        name="smp save_pretrained, mit_b1",
        make=_save_for_smp,
        judge=lambda photo: run_smp(_save_for_smp, photo),
        judged_by="segmentation_models_pytorch",
        options=SIZED,
    ),
]
