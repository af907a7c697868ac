"""Masks of networks whose framework enlarges logits with `align_corners=True`, in two steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch_masks import assert_equals_torch, random_logits

from edgeseg.pixels import resize_logits, to_frame_mask, to_mask
from edgeseg.spec import Aspect, InputSpec, Upsampling

CORNERS = Upsampling.ALIGN_CORNERS

SIZES = [
    (64, 96),  # the network's own
    (128, 192),
    (97, 131),
    (63, 97),  # off by one
    (31, 47),  # smaller
    (311, 200),
    (16, 24),  # the logits' own
    (1, 1),
]


@pytest.mark.parametrize("smooth", [True, False], ids=["smooth", "noise"])
@pytest.mark.parametrize("output", SIZES, ids=str)
@pytest.mark.parametrize("classes", [2, 19, 300])
def test_masks_equal_torchs_two_steps(classes: int, output: tuple[int, int], smooth: bool) -> None:
    logits = random_logits(classes, (16, 24), seed=3, smooth=smooth)
    assert_equals_torch(logits, *output, CORNERS)


@settings(max_examples=100, deadline=None)
@given(
    classes=st.integers(2, 40),
    logits=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    output=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 1000),
)
def test_masks_equal_torchs_two_steps_at_any_size(
    classes: int, logits: tuple[int, int], output: tuple[int, int], scale: float, seed: int
) -> None:
    drawn = scale * random_logits(classes, logits, seed=seed, smooth=bool(seed % 2))
    assert_equals_torch(drawn, *output, CORNERS)


@settings(max_examples=40, deadline=None)
@given(copies=st.integers(2, 12), lowered=st.floats(0, 3), seed=st.integers(0, 1000))
def test_classes_that_follow_each_other_equal_torchs(
    copies: int, lowered: float, seed: int
) -> None:
    """Most are below another class at each of the nine logits of a cell, some at all but one."""
    own = random_logits(4, (12, 15), seed=seed, smooth=True)
    apart = 0.5 * random_logits(4 * copies, (12, 15), seed=seed + 1, smooth=False)
    followers = own.repeat(1, copies, 1, 1) + apart - lowered
    assert_equals_torch(torch.cat([followers, own], dim=1), 61, 83, CORNERS)


@pytest.mark.parametrize("output", [(512, 512), (360, 480), (720, 960), (1080, 1920)], ids=str)
def test_masks_of_the_camvid_model_equal_torchs_two_steps(
    camvid_logits: torch.Tensor, output: tuple[int, int]
) -> None:
    assert_equals_torch(camvid_logits, *output, CORNERS)


def test_one_step_is_another_rule(camvid_logits: torch.Tensor) -> None:
    """Neither half-pixel upsampling nor the corners of the frame itself make the same mask."""
    size = (720, 960)
    found = to_mask(camvid_logits.numpy(), height=size[0], width=size[1], upsampling=CORNERS)
    half = to_mask(camvid_logits.numpy(), height=size[0], width=size[1])
    direct = functional.interpolate(camvid_logits, size, mode="bilinear", align_corners=True)
    assert (found != half).mean() > 0.001
    assert (found != direct.argmax(dim=1)[0].numpy()).mean() > 0.0001


@pytest.mark.parametrize("upsampling", Upsampling)
@pytest.mark.parametrize("output", [(64, 96), (97, 131), (128, 192), (31, 47)], ids=str)
def test_a_class_that_is_switched_off_in_places_still_wins_beside_them(
    output: tuple[int, int], upsampling: Upsampling
) -> None:
    """Minus infinity reaches as far as its share, also where a pixel's cell has a third logit."""
    logits = random_logits(4, (16, 24), seed=7, smooth=True)
    logits[0, 2] += 2
    low = logits.clone()
    logits[0, 2, 5::4], low[0, 2, 5::4] = -torch.inf, -1e30
    size = {"height": output[0], "width": output[1], "upsampling": upsampling}
    found = to_mask(logits.numpy(), **size)
    np.testing.assert_array_equal(found, to_mask(low.numpy(), **size))
    assert (found == 2).mean() > 0.05
    assert_equals_torch(low, *output, upsampling)


@pytest.mark.parametrize("frame_size", [(300, 200), (200, 300), (96, 128), (50, 20)], ids=str)
def test_padding_is_cut_off_between_the_steps(frame_size: tuple[int, int]) -> None:
    spec = InputSpec(height=96, width=128, aspect=Aspect.KEEP, upsampling=CORNERS)
    logits = random_logits(7, (24, 32), seed=5, smooth=True)
    factor = min(96 / frame_size[0], 128 / frame_size[1])
    covered = [int(side * factor + 0.5) for side in frame_size]
    enlarged = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=True)[
        :, :, : covered[0], : covered[1]
    ]
    blended = functional.interpolate(enlarged, frame_size, mode="bilinear", align_corners=False)
    frame = np.zeros((*frame_size, 3), np.uint8)
    found = to_frame_mask(logits.numpy(), spec, frame)
    best, second = blended.topk(2, dim=1).values[0].numpy()
    differs = found != blended.argmax(dim=1)[0].numpy()
    assert (best - second)[differs].max(initial=0) <= 2e-5


@settings(max_examples=60, deadline=None)
@given(
    logits=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    output=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    seed=st.integers(0, 1000),
)
def test_resized_logits_equal_torchs(
    logits: tuple[int, int], output: tuple[int, int], seed: int
) -> None:
    drawn = random_logits(3, logits, seed=seed, smooth=False)
    expected = functional.interpolate(drawn, output, mode="bilinear", align_corners=True)
    found = resize_logits(drawn[0].numpy(), height=output[0], width=output[1], upsampling=CORNERS)
    np.testing.assert_allclose(found, expected[0].numpy(), rtol=0, atol=5e-5)


@pytest.fixture(scope="module")
def camvid_logits(camvid_weights: Path, camvid: Path) -> torch.Tensor:
    """The trained model's logits for one image."""
    from edgeseg.datasets import open_dataset
    from edgeseg.export.checkpoint import read_checkpoint
    from edgeseg.export.reference import normalize
    from edgeseg.pixels import to_input

    checkpoint = read_checkpoint(str(camvid_weights))
    frame = to_input(open_dataset(camvid, split="test").items[0].image(), checkpoint.input)
    with torch.inference_mode():
        logits: torch.Tensor = checkpoint.model(normalize(frame, checkpoint.input))
    return logits
