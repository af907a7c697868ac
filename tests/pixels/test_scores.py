"""How sure a network is of each pixel, against PyTorch's interpolate and softmax."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from tiled import Network, draw_photo, mean_logits
from torch.nn import functional
from torch_masks import random_logits

from edgeseg.pixels import to_frame_mask
from edgeseg.runtime.finish import Finish
from edgeseg.spec import Aspect, InputSpec, Upsampling

FRAME = np.zeros((150, 230, 3), np.uint8)


def _blend(logits: torch.Tensor, spec: InputSpec, size: tuple[int, int]) -> torch.Tensor:
    """The logits at a frame's size, of a bundle that stretches frames."""
    if spec.upsampling is Upsampling.ALIGN_CORNERS:
        logits = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=True)
    return functional.interpolate(logits, size, mode="bilinear", align_corners=False)[0]


def _assert_are(scores: np.ndarray | None, logits: torch.Tensor) -> None:
    """Bytes may differ by one, where rounding decides."""
    expected = (255 * logits.softmax(dim=0).amax(dim=0)).round().numpy()
    assert scores is not None
    assert scores.dtype == np.uint8
    assert scores.shape == expected.shape
    assert np.abs(scores - expected).max() <= 1
    assert (scores == expected).mean() > 0.999
    assert len(np.unique(scores)) > 20


@pytest.mark.parametrize("upsampling", Upsampling)
@pytest.mark.parametrize("classes", [2, 19, 150])
def test_scores_are_softmax_over_the_upsampled_logits(classes: int, upsampling: Upsampling) -> None:
    spec = InputSpec(height=64, width=96, upsampling=upsampling)
    logits = random_logits(classes, (16, 24), seed=classes, smooth=True)
    finished = Finish(scores=True).make(logits.numpy(), spec, FRAME)
    _assert_are(finished.scores, _blend(logits, spec, (150, 230)))
    np.testing.assert_array_equal(finished.mask, to_frame_mask(logits.numpy(), spec, FRAME))


def test_one_logit_has_the_probability_of_its_sigmoid() -> None:
    """A network of one logit is deployed as two classes, of which the first has the logit 0."""
    spec = InputSpec(height=64, width=96)
    logit = random_logits(1, (16, 24), seed=5, smooth=True)
    pair = torch.cat([torch.zeros_like(logit), logit], dim=1)
    finished = Finish(scores=True).make(pair.numpy(), spec, FRAME)
    road = _blend(logit, spec, (150, 230)).sigmoid()[0].numpy()
    expected = np.rint(255 * np.maximum(road, 1 - road))
    assert finished.scores is not None
    assert np.abs(finished.scores - expected).max() <= 1
    np.testing.assert_array_equal(finished.mask, road > 0.5)


def test_a_padded_frame_is_scored_where_it_lies() -> None:
    """64x32 beside padding: the frame's logits are the left part, as a crop of torch's."""
    spec = InputSpec(height=64, width=96, aspect=Aspect.KEEP)
    logits = random_logits(6, (16, 24), seed=1, smooth=True)
    finished = Finish(scores=True).make(logits.numpy(), spec, np.zeros((128, 64, 3), np.uint8))
    _assert_are(finished.scores, _blend(logits, spec, (128, 192))[:, :, :64])


@pytest.mark.parametrize("size", [(150, 230), (64, 300), (60, 90)], ids=str)
def test_tiles_have_the_scores_of_mean_logits(size: tuple[int, int]) -> None:
    spec = InputSpec(height=64, width=96)
    frame, network = draw_photo(*size), Network(spec)
    expected = mean_logits(Network(spec), frame) if size != (60, 90) else None
    finished = Finish(scores=True, tile=True).make_tiled(network.look, spec, frame)
    if expected is None:  # one window sees it: it is scored as without tiles
        expected = _blend(torch.from_numpy(network.look(frame)), spec, size)
    _assert_are(finished.scores, expected)


@pytest.mark.parametrize("tile", [False, True])
def test_what_is_not_sure_enough_is_ignored(tile: bool) -> None:
    spec, least = InputSpec(height=64, width=96), (0.5, 0.0, 0.9, 0.3, 0.6, 1.0)
    frame, network = draw_photo(150, 230), Network(spec)
    finish = Finish(tile=tile, least=least)
    if tile:
        logits = mean_logits(Network(spec), frame)
        mask, scores = finish.make_tiled(network.look, spec, frame)
        plain, _ = Finish(tile=True).make_tiled(network.look, spec, frame)
    else:
        given = network.look(frame)
        logits = _blend(torch.from_numpy(given), spec, (150, 230))
        mask, scores = finish.make(given, spec, frame)
        plain = to_frame_mask(given, spec, frame)
    assert scores is None
    probability = logits.softmax(dim=0).amax(dim=0).numpy()
    limit = np.array(least)[plain]
    decided = np.abs(probability - limit) > 1e-4
    expected = np.where(probability < limit, 255, plain)
    np.testing.assert_array_equal(mask[decided], expected[decided])
    assert 0.05 < (mask == 255).mean() < 0.95


def test_chosen_classes_keep_their_ids() -> None:
    spec = InputSpec(height=64, width=96)
    logits = random_logits(6, (16, 24), seed=1, smooth=True).numpy()
    plain = to_frame_mask(logits, spec, FRAME)
    mask, _ = Finish(becomes=(6, 1, 6, 6, 4, 6)).make(logits, spec, FRAME)
    np.testing.assert_array_equal(mask, np.where(np.isin(plain, (1, 4)), plain, 6))


def test_ids_above_a_byte_take_two() -> None:
    spec = InputSpec(height=64, width=96)
    logits = random_logits(256, (16, 24), seed=1, smooth=True).numpy()
    mask, _ = Finish(becomes=(0, *[256] * 255), least=(1.0,) * 256, ignore=65535).make(
        logits, spec, FRAME
    )
    assert mask.dtype == np.uint16
    assert (mask == 65535).all()
    mask, _ = Finish(becomes=(256,) * 256).make(logits, spec, FRAME)
    assert (mask == 256).all()


def test_memory_does_not_hold_the_upsampled_logits() -> None:
    """150 classes at 1000x1500 would take 900 MB."""
    spec = InputSpec(height=64, width=96)
    logits = random_logits(150, (16, 24), seed=1, smooth=True).numpy()
    frame = np.zeros((1000, 1500, 3), np.uint8)
    Finish().make(logits, spec, frame)
    tracemalloc.start()
    Finish().make(logits, spec, frame)
    _, plain = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    Finish(scores=True, least=(0.5,) * 150).make(logits, spec, frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < plain + 20e6
