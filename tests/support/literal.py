"""NVlabs', TAO's and mmsegmentation's SegFormer-B0, spelled out from descriptions and sources.

Written with torch.nn.functional on a dictionary of weights under each framework's own names, with
its own order of concatenation, and without any of edgeseg's tables: an oracle for the loaders.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WIDTHS, DEPTHS, HEADS, RATIOS = (32, 64, 160, 256), (2, 2, 2, 2), (1, 2, 5, 8), (8, 4, 2, 1)
PATCHES, STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)

State = dict[str, Tensor]


class _Maker:
    """Draws seeded weights of unit gain under the names it is told."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def weight(self, name: str, *shape: int) -> None:
        fan_in = 1
        for side in shape[1:]:
            fan_in *= side
        self.state[name] = torch.randn(shape, generator=self.generator) * (2 / fan_in) ** 0.5

    def vector(self, name: str, size: int, low: float, high: float) -> None:
        self.state[name] = torch.rand(size, generator=self.generator) * (high - low) + low

    def affine(self, name: str, size: int) -> None:
        self.vector(f"{name}.weight", size, 0.5, 1.5)
        self.vector(f"{name}.bias", size, -0.5, 0.5)

    def layer(self, name: str, *shape: int) -> None:
        self.weight(f"{name}.weight", *shape)
        self.vector(f"{name}.bias", shape[0], -0.5, 0.5)

    def batch_norm(self, name: str, size: int) -> None:
        self.affine(name, size)
        self.vector(f"{name}.running_mean", size, -1, 1)
        self.vector(f"{name}.running_var", size, 0.5, 2)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def nvlabs_state(*, classes: int = 19, seed: int = 0) -> State:
    make = _Maker(seed)
    inputs = 3
    for n, (width, depth, ratio, patch) in enumerate(
        zip(WIDTHS, DEPTHS, RATIOS, PATCHES, strict=True), start=1
    ):
        make.layer(f"backbone.patch_embed{n}.proj", width, inputs, patch, patch)
        make.affine(f"backbone.patch_embed{n}.norm", width)
        for j in range(depth):
            block = f"backbone.block{n}.{j}"
            make.affine(f"{block}.norm1", width)
            make.affine(f"{block}.norm2", width)
            make.layer(f"{block}.attn.q", width, width)
            make.layer(f"{block}.attn.kv", 2 * width, width)
            make.layer(f"{block}.attn.proj", width, width)
            if ratio > 1:
                make.layer(f"{block}.attn.sr", width, width, ratio, ratio)
                make.affine(f"{block}.attn.norm", width)
            make.layer(f"{block}.mlp.fc1", 4 * width, width)
            make.layer(f"{block}.mlp.dwconv.dwconv", 4 * width, 1, 3, 3)
            make.layer(f"{block}.mlp.fc2", width, 4 * width)
        make.affine(f"backbone.norm{n}", width)
        make.layer(f"decode_head.linear_c{n}.proj", 256, width)
        inputs = width
    make.weight("decode_head.linear_fuse.conv.weight", 256, 1024, 1, 1)
    make.batch_norm("decode_head.linear_fuse.bn", 256)
    make.layer("decode_head.linear_pred", classes, 256, 1, 1)
    make.layer("decode_head.conv_seg", classes, 128, 1, 1)  # never used
    return make.state


def nvlabs_logits(state: State, image: Tensor, *, batch_eps: float = 1e-5) -> Tensor:
    up = _project(state, _mix_transformer(state, image), "decode_head")
    joined = torch.cat([up[3], up[2], up[1], up[0]], dim=1)  # c4, c3, c2, c1
    fused = F.conv2d(joined, state["decode_head.linear_fuse.conv.weight"])
    fused = F.relu(_batch_norm(fused, state, "decode_head.linear_fuse.bn", batch_eps))
    return _conv(fused, state, "decode_head.linear_pred")


def tao_logits(state: State, image: Tensor) -> Tensor:
    """NVIDIA TAO's own: its convolution before BatchNorm has a bias."""
    up = _project(state, _mix_transformer(state, image), "decoder")
    joined = torch.cat([up[3], up[2], up[1], up[0]], dim=1)  # c4, c3, c2, c1
    fused = _conv(joined, state, "decoder.linear_fuse.0")
    fused = F.relu(_batch_norm(fused, state, "decoder.linear_fuse.1"))
    return _conv(fused, state, "decoder.linear_pred")


def _mix_transformer(state: State, image: Tensor) -> list[Tensor]:
    """NVlabs' encoder; TAO has taken over its names and epsilons."""
    features, x = [], image
    for n in range(1, 5):
        s = n - 1
        x, h, w = _embed(
            x, state, f"backbone.patch_embed{n}.proj", f"backbone.patch_embed{n}.norm", s, 1e-5
        )
        for j in range(DEPTHS[s]):
            block = f"backbone.block{n}.{j}"
            y = _norm(x, state, f"{block}.norm1", 1e-6)
            q = _linear(y, state, f"{block}.attn.q")
            reduced = y
            if RATIOS[s] > 1:
                reduced = _reduce(y, h, w, state, f"{block}.attn.sr", RATIOS[s])
                reduced = _norm(reduced, state, f"{block}.attn.norm", 1e-5)
            # NVlabs: kv(x).reshape(B, -1, 2, heads, d): the first half of the rows is K.
            kv = _linear(reduced, state, f"{block}.attn.kv")
            width = WIDTHS[s]
            attended = _attend(q, kv[..., :width], kv[..., width:], HEADS[s])
            x = x + _linear(attended, state, f"{block}.attn.proj")
            y = _linear(_norm(x, state, f"{block}.norm2", 1e-6), state, f"{block}.mlp.fc1")
            y = _depthwise(y, h, w, state, f"{block}.mlp.dwconv.dwconv")
            x = x + _linear(F.gelu(y), state, f"{block}.mlp.fc2")
        x = _as_image(_norm(x, state, f"backbone.norm{n}", 1e-6), h, w)
        features.append(x)
    return features


def _project(state: State, features: list[Tensor], head: str) -> list[Tensor]:
    size = features[0].shape[2:]
    up = []
    for n in (1, 2, 3, 4):
        feature = features[n - 1]
        tokens = _linear(feature.flatten(2).transpose(1, 2), state, f"{head}.linear_c{n}.proj")
        up.append(_upsample(_as_image(tokens, *feature.shape[2:]), size))
    return up


def mmseg_state(*, classes: int = 19, seed: int = 0) -> State:
    make = _Maker(seed)
    inputs = 3
    for i, (width, depth, ratio, patch) in enumerate(
        zip(WIDTHS, DEPTHS, RATIOS, PATCHES, strict=True)
    ):
        make.layer(f"backbone.layers.{i}.0.projection", width, inputs, patch, patch)
        make.affine(f"backbone.layers.{i}.0.norm", width)
        for j in range(depth):
            block = f"backbone.layers.{i}.1.{j}"
            make.affine(f"{block}.norm1", width)
            make.affine(f"{block}.norm2", width)
            make.weight(f"{block}.attn.attn.in_proj_weight", 3 * width, width)
            make.vector(f"{block}.attn.attn.in_proj_bias", 3 * width, -0.5, 0.5)
            make.layer(f"{block}.attn.attn.out_proj", width, width)
            if ratio > 1:
                make.layer(f"{block}.attn.sr", width, width, ratio, ratio)
                make.affine(f"{block}.attn.norm", width)
            make.layer(f"{block}.ffn.layers.0", 4 * width, width, 1, 1)
            make.layer(f"{block}.ffn.layers.1", 4 * width, 1, 3, 3)
            make.layer(f"{block}.ffn.layers.4", width, 4 * width, 1, 1)
        make.affine(f"backbone.layers.{i}.2", width)
        make.weight(f"decode_head.convs.{i}.conv.weight", 256, width, 1, 1)
        make.batch_norm(f"decode_head.convs.{i}.bn", 256)
        inputs = width
    make.weight("decode_head.fusion_conv.conv.weight", 256, 1024, 1, 1)
    make.batch_norm("decode_head.fusion_conv.bn", 256)
    make.layer("decode_head.conv_seg", classes, 256, 1, 1)
    return make.state


def mmseg_logits(state: State, image: Tensor) -> Tensor:
    features, x = [], image
    for i in range(4):
        layer = f"backbone.layers.{i}"
        x, h, w = _embed(x, state, f"{layer}.0.projection", f"{layer}.0.norm", i, 1e-6)
        for j in range(DEPTHS[i]):
            block = f"{layer}.1.{j}"
            y = _norm(x, state, f"{block}.norm1", 1e-6)
            reduced = y
            if RATIOS[i] > 1:
                reduced = _reduce(y, h, w, state, f"{block}.attn.sr", RATIOS[i])
                reduced = _norm(reduced, state, f"{block}.attn.norm", 1e-6)
            # It is torch's own multi-head attention there, so here too.
            attended, _ = F.multi_head_attention_forward(
                y.transpose(0, 1),
                reduced.transpose(0, 1),
                reduced.transpose(0, 1),
                WIDTHS[i],
                HEADS[i],
                state[f"{block}.attn.attn.in_proj_weight"],
                state[f"{block}.attn.attn.in_proj_bias"],
                None,
                None,
                False,
                0.0,
                state[f"{block}.attn.attn.out_proj.weight"],
                state[f"{block}.attn.attn.out_proj.bias"],
                training=False,
                need_weights=False,
            )
            x = x + attended.transpose(0, 1)
            y = _as_image(_norm(x, state, f"{block}.norm2", 1e-6), h, w)
            y = _conv(y, state, f"{block}.ffn.layers.0")
            y = F.gelu(_conv(y, state, f"{block}.ffn.layers.1", padding=1, groups=y.shape[1]))
            y = _conv(y, state, f"{block}.ffn.layers.4")
            x = x + y.flatten(2).transpose(1, 2)
        x = _as_image(_norm(x, state, f"{layer}.2", 1e-6), h, w)
        features.append(x)
    size = features[0].shape[2:]
    up = []
    for i, feature in enumerate(features):
        y = F.conv2d(feature, state[f"decode_head.convs.{i}.conv.weight"])
        y = F.relu(_batch_norm(y, state, f"decode_head.convs.{i}.bn"))
        up.append(_upsample(y, size))
    joined = torch.cat(up, dim=1)  # c1, c2, c3, c4
    fused = F.conv2d(joined, state["decode_head.fusion_conv.conv.weight"])
    fused = F.relu(_batch_norm(fused, state, "decode_head.fusion_conv.bn"))
    return _conv(fused, state, "decode_head.conv_seg")


def _embed(
    x: Tensor, state: State, proj: str, norm: str, stage: int, eps: float
) -> tuple[Tensor, int, int]:
    x = _conv(x, state, proj, stride=STRIDES[stage], padding=PATCHES[stage] // 2)
    h, w = x.shape[2:]
    return _norm(x.flatten(2).transpose(1, 2), state, norm, eps), h, w


def _reduce(x: Tensor, h: int, w: int, state: State, name: str, ratio: int) -> Tensor:
    return _conv(_as_image(x, h, w), state, name, stride=ratio).flatten(2).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    batch, length, width = q.shape
    q, k, v = (x.reshape(batch, -1, heads, width // heads).permute(0, 2, 1, 3) for x in (q, k, v))
    weights = (q @ k.transpose(-2, -1) * (width // heads) ** -0.5).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).reshape(batch, length, width)


def _depthwise(x: Tensor, h: int, w: int, state: State, name: str) -> Tensor:
    y = _conv(_as_image(x, h, w), state, name, padding=1, groups=x.shape[2])
    return y.flatten(2).transpose(1, 2)


def _as_image(x: Tensor, h: int, w: int) -> Tensor:
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], h, w)


def _upsample(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _conv(x: Tensor, state: State, name: str, **options: int) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)


def _linear(x: Tensor, state: State, name: str) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _norm(x: Tensor, state: State, name: str, eps: float) -> Tensor:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def _batch_norm(x: Tensor, state: State, name: str, eps: float = 1e-5) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return F.batch_norm(x, mean, var, weight, bias, eps=eps)
