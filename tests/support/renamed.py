"""The packaged demo's trained weights, under the names of other frameworks.

Written by hand from the other frameworks' modules, without edgeseg's tables.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from edgeseg.demo.assets import find_demo_checkpoint

__all__ = ["SMP_CONFIG", "nvlabs_state", "smp_folder", "smp_state", "tao_file", "tao_state"]

State = dict[str, Tensor]

# What `save_pretrained` of segmentation_models_pytorch writes.
SMP_CONFIG: dict[str, object] = {
    "_model_class": "Segformer",
    "activation": None,
    "aux_params": None,
    "classes": 11,
    "decoder_segmentation_channels": 256,
    "encoder_depth": 5,
    "encoder_name": "mit_b0",
    "encoder_weights": None,
    "in_channels": 3,
    "upsampling": 4,
}


def nvlabs_state() -> State:
    theirs = _read_demo()
    state = _rename_encoder(theirs, "backbone")
    for stage in range(4):
        ours = f"decode_head.linear_c{stage + 1}.proj"
        _move(state, ours, theirs, f"decode_head.linear_c.{stage}.proj")
    state["decode_head.linear_fuse.conv.weight"] = theirs["decode_head.linear_fuse.weight"]
    _move_batch_norm(state, "decode_head.linear_fuse.bn", theirs)
    _move(state, "decode_head.linear_pred", theirs, "decode_head.classifier")
    return state


def smp_state(theirs: State | None = None) -> State:
    """The demo's weights, or others under the names of its file."""
    theirs = theirs or _read_demo()
    state = _rename_encoder(theirs, "encoder")
    for stage in range(4):
        mlp = f"decoder.mlp_stage.{3 - stage}.linear"
        _move(state, mlp, theirs, f"decode_head.linear_c.{stage}.proj")
    state["decoder.fuse_stage.0.weight"] = theirs["decode_head.linear_fuse.weight"]
    _move_batch_norm(state, "decoder.fuse_stage.1", theirs)
    _move(state, "segmentation_head.0", theirs, "decode_head.classifier")
    return state


def smp_folder(folder: Path, **config: object) -> Path:
    folder.mkdir()
    save_file(smp_state(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SMP_CONFIG | config))
    return folder


def tao_state() -> State:
    """As TAO 5 and 6 name them; its convolution before BatchNorm has a bias."""
    theirs = _read_demo()
    state = _rename_encoder(theirs, "backbone")
    for stage in range(4):
        _move(
            state, f"decoder.linear_c{stage + 1}.proj", theirs, f"decode_head.linear_c.{stage}.proj"
        )
    state["decoder.linear_fuse.0.weight"] = theirs["decode_head.linear_fuse.weight"]
    _move_batch_norm(state, "decoder.linear_fuse.1", theirs)
    shift = 0.5 * torch.randn(256, generator=torch.Generator().manual_seed(0))
    state["decoder.linear_fuse.0.bias"] = shift
    state["decoder.linear_fuse.1.running_mean"] = (
        state["decoder.linear_fuse.1.running_mean"] + shift + 0.05 * shift.flip(0)
    )
    _move(state, "decoder.linear_pred", theirs, "decode_head.classifier")
    return state


def tao_file(path: Path) -> Path:
    """A checkpoint of TAO's training, which PyTorch Lightning writes."""
    torch.save(
        {
            "epoch": 49,
            "global_step": 12500,
            "pytorch-lightning_version": "2.4.0",
            "state_dict": {f"model.{name}": value for name, value in tao_state().items()},
            "loops": {},
            "callbacks": {},
            "optimizer_states": [],
            "lr_schedulers": [],
        },
        path,
    )
    return path


def _read_demo() -> State:
    loaded = load_file(find_demo_checkpoint() / "model.safetensors")
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in loaded.items()
    }


def _rename_encoder(theirs: State, prefix: str) -> State:
    """The names of NVlabs' encoder, which segmentation_models_pytorch and TAO have taken over."""
    state: State = {}
    for i in range(4):
        n, encoder = i + 1, "segformer.encoder"
        patches = f"{encoder}.patch_embeddings.{i}"
        _move(state, f"{prefix}.patch_embed{n}.proj", theirs, f"{patches}.proj")
        _move(state, f"{prefix}.patch_embed{n}.norm", theirs, f"{patches}.layer_norm")
        for j in range(2):
            ours, block = f"{prefix}.block{n}.{j}", f"{encoder}.block.{i}.{j}"
            attention = f"{block}.attention.self"
            _move(state, f"{ours}.norm1", theirs, f"{block}.layer_norm_1")
            _move(state, f"{ours}.norm2", theirs, f"{block}.layer_norm_2")
            _move(state, f"{ours}.attn.q", theirs, f"{attention}.query")
            for leaf in ("weight", "bias"):
                both = [theirs[f"{attention}.{one}.{leaf}"] for one in ("key", "value")]
                state[f"{ours}.attn.kv.{leaf}"] = torch.cat(both)
            if i < 3:
                _move(state, f"{ours}.attn.sr", theirs, f"{attention}.sr")
                _move(state, f"{ours}.attn.norm", theirs, f"{attention}.layer_norm")
            _move(state, f"{ours}.attn.proj", theirs, f"{block}.attention.output.dense")
            _move(state, f"{ours}.mlp.fc1", theirs, f"{block}.mlp.dense1")
            _move(state, f"{ours}.mlp.dwconv.dwconv", theirs, f"{block}.mlp.dwconv.dwconv")
            _move(state, f"{ours}.mlp.fc2", theirs, f"{block}.mlp.dense2")
        _move(state, f"{prefix}.norm{n}", theirs, f"{encoder}.layer_norm.{i}")
    return state


def _move(state: State, ours: str, theirs: State, name: str) -> None:
    for leaf in ("weight", "bias"):
        state[f"{ours}.{leaf}"] = theirs[f"{name}.{leaf}"]


def _move_batch_norm(state: State, ours: str, theirs: State) -> None:
    _move(state, ours, theirs, "decode_head.batch_norm")
    for leaf in ("running_mean", "running_var", "num_batches_tracked"):
        state[f"{ours}.{leaf}"] = theirs[f"decode_head.batch_norm.{leaf}"]
