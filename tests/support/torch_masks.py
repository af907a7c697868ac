"""PyTorch's own way from logits to a mask, against `to_mask`."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from edgeseg.pixels import to_mask
from edgeseg.spec import Upsampling

__all__ = ["assert_equals_torch", "random_logits"]


def random_logits(classes: int, size: tuple[int, int], *, seed: int, smooth: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if not smooth:
        return torch.randn(1, classes, *size, generator=generator)
    coarse = torch.randn(1, classes, -(-size[0] // 6), -(-size[1] // 6), generator=generator)
    return 4 * functional.interpolate(coarse, size, mode="bilinear").contiguous()


def assert_equals_torch(
    logits: torch.Tensor,
    height: int,
    width: int,
    upsampling: Upsampling = Upsampling.HALF_PIXEL,
) -> None:
    """Pixels may differ only where the two best blended logits are equal to within 1e-5.

    For logits of a larger size than some tens the bound grows with float32's own spacing.
    """
    first = logits
    if upsampling is Upsampling.ALIGN_CORNERS:
        first = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=True)
    blended = functional.interpolate(first, (height, width), mode="bilinear", align_corners=False)
    expected = blended.argmax(dim=1)[0].numpy()
    found = to_mask(logits.numpy(), height=height, width=width, upsampling=upsampling)
    assert found.shape == (height, width)
    assert found.dtype == (np.uint8 if logits.shape[1] <= 256 else np.uint16)
    best, second = blended.topk(2, dim=1).values[0].numpy()
    allowed = max(1e-5, 4e-7 * float(logits.abs().max()))
    assert (best - second)[found != expected].max(initial=0) <= allowed
