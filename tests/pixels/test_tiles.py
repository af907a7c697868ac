"""An image larger than the network: windows, their mean logits, and the memory that they take."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiled import Network, draw_photo, mean_logits

from edgeseg.errors import BackendError
from edgeseg.pixels import to_frame_mask, to_input
from edgeseg.pixels.axis import center_pixels
from edgeseg.pixels.tiles import find_stride, segment_tiles
from edgeseg.pixels.windows import Window, average_windows, crop_windows, find_contenders
from edgeseg.spec import Aspect, InputSpec, Resize, Upsampling

if TYPE_CHECKING:
    import torch

SPEC = InputSpec(height=64, width=96)


def _assert_equal_but_for_ties(mask: np.ndarray, scores: torch.Tensor) -> None:
    assert mask.shape == tuple(scores.shape[1:])
    differs = mask != scores.argmax(dim=0).numpy()
    best, second = scores.topk(2, dim=0).values.numpy()
    assert (best - second)[differs].max(initial=0) <= 1e-5


@pytest.mark.parametrize("size", [(64, 97), (65, 96), (150, 230), (64, 300), (200, 96)], ids=str)
@pytest.mark.parametrize("upsampling", Upsampling)
def test_the_mask_is_that_of_mean_logits(size: tuple[int, int], upsampling: Upsampling) -> None:
    spec = InputSpec(height=64, width=96, upsampling=upsampling)
    frame = draw_photo(*size)
    mask = segment_tiles(Network(spec).look, spec, frame)
    _assert_equal_but_for_ties(mask, mean_logits(Network(spec), frame))
    assert len(np.unique(mask)) == 6


def test_bands_are_seen_in_windows_too() -> None:
    spec = InputSpec(height=64, width=96, mean=(0.5,) * 5, std=(0.2,) * 5)
    frame = draw_photo(100, 130, channels=5)
    mask = segment_tiles(Network(spec).look, spec, frame)
    _assert_equal_but_for_ties(mask, mean_logits(Network(spec), frame))


@pytest.mark.parametrize("aspect", Aspect)
@pytest.mark.parametrize("size", [(64, 96), (40, 96), (33, 47)], ids=str)
def test_a_frame_that_one_window_sees_is_segmented_as_without(
    size: tuple[int, int], aspect: Aspect
) -> None:
    spec = InputSpec(height=64, width=96, aspect=aspect)
    frame, network = draw_photo(*size), Network(spec)
    expected = to_frame_mask(network.look(frame), spec, frame)
    np.testing.assert_array_equal(segment_tiles(network.look, spec, frame), expected)


@pytest.mark.parametrize("rule", [Resize.PILLOW_BILINEAR, Resize.OPENCV_BILINEAR])
@pytest.mark.parametrize("upsampling", Upsampling)
@pytest.mark.parametrize("aspect", Aspect)
def test_a_short_side_becomes_the_networks_by_its_own_rule(
    aspect: Aspect, upsampling: Upsampling, rule: Resize
) -> None:
    """A strip of 40 rows: stretched to 64, or padded below with the mean color."""
    spec = InputSpec(height=64, width=96, resize=rule, aspect=aspect, upsampling=upsampling)
    frame, network = draw_photo(40, 150), Network(spec)
    mask = segment_tiles(network.look, spec, frame)
    assert mask.shape == (40, 150)
    parts = [frame[:, :96], frame[:, 54:]]  # 72 apart; the second is moved back
    for seen, part in zip(network.inputs, parts, strict=True):
        np.testing.assert_array_equal(seen, to_input(part, spec)[0])
        if aspect is Aspect.KEEP:
            np.testing.assert_array_equal(seen[:40], part)
            assert (seen[40:] == np.rint(255 * np.array(spec.mean[::-1]))).all()
    # Where one window alone sees the strip, its mask is the whole frame's of that part.
    for columns, part in ((slice(0, 54), parts[0]), (slice(96, 150), parts[1])):
        alone = to_frame_mask(network.look(part), spec, part)
        own = slice(0, 54) if columns.start == 0 else slice(42, 96)
        assert (alone[:, own] == mask[:, columns]).mean() > 0.999


def test_windows_lie_as_the_protocol_slide_has_them() -> None:
    """A stride of three quarters, as mmsegmentation's 768 of 1024."""
    assert find_stride(1024) == 768
    network = Network(SPEC)
    frame = draw_photo(100, 200)
    segment_tiles(network.look, SPEC, frame)
    tops, lefts = (0, 36), (0, 72, 104)
    expected = [frame[top : top + 64, left : left + 96] for top in tops for left in lefts]
    np.testing.assert_array_equal(network.inputs, expected)


def test_more_classes_than_a_byte_holds_have_wide_ids() -> None:
    mask = segment_tiles(Network(SPEC, classes=300).look, SPEC, draw_photo(70, 100))
    assert mask.dtype == np.uint16


def test_logits_that_are_not_finite_are_refused() -> None:
    network = Network(SPEC)
    network.weight[2, 1, 3, 3] = np.inf
    with pytest.raises(BackendError, match="logits that are not finite"):
        segment_tiles(network.look, SPEC, draw_photo(70, 100))


def _measure_peak(height: int, width: int) -> int:
    """Bytes at the peak, without frame and mask, of a network of 150 classes that costs nothing."""
    logits = np.zeros((1, 150, 16, 24), np.float32)
    logits[0, 7] = 1
    frame = np.zeros((height, width, 3), np.uint8)
    tracemalloc.start()
    segment_tiles(lambda _: logits, SPEC, frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - height * width


def test_memory_is_that_of_a_row_of_windows() -> None:
    """However high the image is, and far below the logits' of the image."""
    width = 96 + 49 * 72
    row = 50 * 4 * 150 * 16 * 24  # bytes of the logits of 50 windows
    # Windows 48 apart: each row keeps a quarter and a line of logits for the next one.
    low, high = _measure_peak(64 + 48, width), _measure_peak(64 + 7 * 48, width)
    assert high < 1.05 * low
    assert high < 0.45 * row
    assert high < 4 * 150 * (64 + 7 * 48) * width / 50
    # The last row lies one pixel below the one before, which is kept nearly whole.
    assert _measure_peak(64 + 48 + 1, width) < 1.5 * row


def test_a_block_of_many_contenders_takes_little_memory() -> None:
    """All 150 classes tie."""
    tracemalloc.start()
    segment_tiles(lambda _: np.zeros((1, 150, 16, 24), np.float32), SPEC, draw_photo(64, 97))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16e6


def _draw_window(rows: range, columns: range, seed: int) -> Window:
    """Logits of 8 classes that are 0.5 to 1 apart, and vary by as much."""
    generator = np.random.default_rng(seed)
    planes = generator.normal(scale=0.4, size=(8, 6, 7)).astype(np.float32)
    planes += np.linspace(0, 5, 8, dtype=np.float32)[:, None, None]
    return Window(
        rows=rows,
        columns=columns,
        planes=planes,
        down=center_pixels(len(rows), 6),
        across=center_pixels(len(columns), 7),
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_class_is_left_out_that_wins(seed: int) -> None:
    windows = [
        _draw_window(range(24), range(28), 3 * seed),
        _draw_window(range(24), range(20, 48), 3 * seed + 1),
        _draw_window(range(10, 34), range(6, 34), 3 * seed + 2),
    ]
    for rows, columns in ((range(6), range(5)), (range(8, 16), range(18, 26))):
        winners = np.unique(average_windows(windows, rows, columns).argmax(axis=0))
        kept = find_contenders(crop_windows(windows, rows, columns))
        assert set(winners) <= set(kept.tolist())
        assert len(kept) < 8
        part = average_windows(windows, rows, columns, kept)
        np.testing.assert_array_equal(part, average_windows(windows, rows, columns)[kept])
