"""A form in plain PyTorch, on the published network: slow, and with nothing folded or merged.

Queries, keys and values are averaged by PyTorch's own pooling; keys and values after their
projections. A cascade resizes every stage's projection through the sizes of the finer stages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeseg.export.segformer.network import AllMlpHead, EfficientSelfAttention, SegFormer
from edgeseg.segformer.form import Form, HeadForm

Size = tuple[int, int]


@torch.no_grad()
def plain_logits(model: SegFormer, image: Tensor, form: Form) -> Tensor:
    """Normalized (1, C, H, W) to logits, in one of the forms."""
    features = []
    for number, stage in enumerate(model.stages, start=1):
        tokens, size = stage.patch_embed(image)
        for block in stage.blocks:
            x = block.norm1(tokens)
            tokens = tokens + _attend(
                block.attention, x, size, number in form.queries, number in form.keys
            )
            tokens = tokens + block.ffn(block.norm2(tokens), size)
        image = _grid(stage.norm(tokens), size)
        features.append(image)
    if form.head is HeadForm.STRIDE_8:
        finest = tuple(features[0].shape[2:])
        features[0] = _average(features[0])
        logits = _decode(model.head, features, cascade=True)
        return functional.interpolate(logits, finest, mode="bilinear", align_corners=False)
    return _decode(model.head, features, cascade=form.head is HeadForm.CASCADE)


def _attend(
    attention: EfficientSelfAttention, x: Tensor, size: Size, queries: bool, keys: bool
) -> Tensor:
    source, source_size = x, size
    if attention.reduction > 1:
        image = attention.sr(_grid(x, size))
        source, source_size = attention.norm(_tokens(image)), tuple(image.shape[2:])
    q, k, v = attention.q(x), attention.k(source), attention.v(source)
    if queries:  # projecting commutes with averaging
        q = _pool(q, size)
    if keys:
        k, v = _pool(k, source_size), _pool(v, source_size)
    width = x.shape[2] // attention.heads
    heads = []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / width**0.5
        heads.append(scores.softmax(dim=2) @ v[..., part])
    mixed = torch.cat(heads, dim=2)
    if queries:
        rows, columns = -(-size[0] // 2), -(-size[1] // 2)
        grid = _grid(mixed, (rows, columns))
        grid = grid.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        mixed = _tokens(grid[:, :, : size[0], : size[1]])
    return attention.out(mixed)


def _decode(head: nn.Module, features: list[Tensor], *, cascade: bool) -> Tensor:
    sizes = [tuple(x.shape[2:]) for x in features]
    resized = []
    for index, (projection, x) in enumerate(zip(head.projections, features, strict=True)):
        if isinstance(head, AllMlpHead):
            share = _grid(projection(_tokens(x)), sizes[index])
        else:
            share = functional.relu(projection(x))
        steps = sizes[:index][::-1] if cascade else sizes[:1]
        for size in steps:
            share = functional.interpolate(share, size, mode="bilinear", align_corners=False)
        resized.append(share)
    if isinstance(head, AllMlpHead):
        resized.reverse()
    fused = head.norm(head.fuse(torch.cat(resized, dim=1)))
    return head.classifier(functional.relu(fused))


def _pool(tokens: Tensor, size: Size) -> Tensor:
    return _tokens(_average(_grid(tokens, size)))


def _average(image: Tensor) -> Tensor:
    return functional.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)


def _tokens(image: Tensor) -> Tensor:
    return image.flatten(2).transpose(1, 2)


def _grid(tokens: Tensor, size: Size) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, size)
