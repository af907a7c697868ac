"""The kernels that make masks, compiled for the host, against `to_mask` and `resize_ids`."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from host_driver import HostFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_masks import random_logits

from edgeseg.errors import BackendError
from edgeseg.pixels import ClassMap, Output, to_frame_mask
from edgeseg.runtime.gpu.module import Module
from edgeseg.runtime.gpu.plan import plan_frame
from edgeseg.spec import Aspect, InputSpec, Resize, Upsampling

FRAMES = st.tuples(st.integers(1, 150), st.integers(1, 150))
INPUTS = st.tuples(st.integers(8, 24), st.integers(8, 24))  # a quarter of the network's
# The input is not looked at here, and this rule is cheap.
PLAIN = {"resize": Resize.PILLOW_NEAREST}


class Made:
    """What the kernels make of an output."""

    def __init__(
        self,
        module: Module,
        size: tuple[int, int],
        spec: InputSpec,
        output: Output,
        classes: int | None = None,
    ) -> None:
        plan = plan_frame(
            *size, spec, output_shape=output.shape, output_dtype=output.dtype, classes=classes
        )
        assert plan is not None
        frame = HostFrame(plan, module)
        frame.finish(output)
        counted = plan.buffers["counts"] // 4
        self.mask = frame.get("mask", np.uint8 if counted <= 256 else np.uint16, *size)
        self.counts = frame.get("counts", np.int32, counted)
        self.fault = int(frame.get("fault", np.int32, 1)[0])


def assert_equals_pixels(
    module: Module, size: tuple[int, int], spec: InputSpec, output: Output
) -> None:
    made = Made(module, size, spec, output)
    wide = output.astype(np.float32) if output.dtype == np.float16 else output
    expected: ClassMap = to_frame_mask(wide, spec, np.empty((*size, 3), np.uint8))
    np.testing.assert_array_equal(made.mask, expected)
    assert made.mask.dtype == expected.dtype
    assert made.fault == 0
    np.testing.assert_array_equal(
        made.counts, np.bincount(expected.ravel(), minlength=len(made.counts))
    )


@st.composite
def draw_case(draw: st.DrawFn) -> tuple[InputSpec, Output]:
    """Smooth logits or noise, some of few values, which tie; some classes are switched off."""
    network, classes = draw(INPUTS), draw(st.integers(1, 40) | st.integers(1, 300))
    spec = InputSpec(
        height=4 * network[0],
        width=4 * network[1],
        aspect=draw(st.sampled_from(Aspect)),
        upsampling=draw(st.sampled_from(Upsampling)),
        **PLAIN,
    )
    seed = draw(st.integers(0, 1000))
    logits = random_logits(classes, network, seed=seed, smooth=bool(seed % 3)).numpy()
    if draw(st.booleans()):
        logits = np.round(logits)
    off = np.random.default_rng(seed).random(logits[:, 1:].shape)
    logits[:, 1:][off < draw(st.sampled_from([0.0, 0.0, 0.1, 0.9]))] = -np.inf
    return spec, logits.astype(np.float16 if draw(st.booleans()) else np.float32)


@settings(max_examples=100)
@given(size=FRAMES, case=draw_case())
def test_masks_equal_pixels(
    module: Module, size: tuple[int, int], case: tuple[InputSpec, Output]
) -> None:
    """To the bit: the kernels choose and blend the same classes in the same order."""
    assert_equals_pixels(module, size, *case)


@pytest.mark.parametrize("upsampling", Upsampling, ids=lambda way: way.value)
@pytest.mark.parametrize("aspect", Aspect, ids=lambda aspect: aspect.value)
@pytest.mark.parametrize(
    "size", [(16, 24), (64, 96), (63, 97), (128, 48), (7, 5), (1, 1), (1, 300)], ids=str
)
def test_masks_equal_pixels_at_the_turning_points(
    module: Module, size: tuple[int, int], aspect: Aspect, upsampling: Upsampling
) -> None:
    """The logits' own size, the network's, off by one, one side alone, a single pixel."""
    spec = InputSpec(height=64, width=96, aspect=aspect, upsampling=upsampling, **PLAIN)
    logits = random_logits(19, (16, 24), seed=4, smooth=True).numpy()
    assert_equals_pixels(module, size, spec, logits)


@pytest.mark.parametrize("classes", [256, 257])
def test_ids_take_two_bytes_above_256_classes(module: Module, classes: int) -> None:
    logits = random_logits(classes, (8, 8), seed=5, smooth=False).numpy()
    assert_equals_pixels(module, (40, 50), InputSpec(height=32, width=32, **PLAIN), logits)


def test_classes_that_follow_each_other_equal_pixels(module: Module) -> None:
    """More classes than a cell's list holds are near the best in many cells."""
    logits = random_logits(2, (12, 16), seed=6, smooth=True).numpy()
    followers = [logits + np.float32(0.01 * step) for step in range(20)]
    crowded = np.concatenate([np.roll(each, step, 3) for step, each in enumerate(followers)], 1)
    assert_equals_pixels(module, (100, 90), InputSpec(height=48, width=64, **PLAIN), crowded)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("value", "everywhere"), [(np.nan, False), (np.inf, False), (-np.inf, True)]
)
def test_what_pixels_refuses_is_a_fault(
    module: Module, value: float, everywhere: bool, half: bool
) -> None:
    spec = InputSpec(height=32, width=32, **PLAIN)
    logits = random_logits(5, (8, 8), seed=7, smooth=False).numpy()
    logits[0, slice(None) if everywhere else 3, 7, 7] = value
    with pytest.raises(BackendError, match="not finite"):
        to_frame_mask(logits, spec, np.empty((20, 30, 3), np.uint8))
    given_ = logits.astype(np.float16) if half else logits
    assert Made(module, (20, 30), spec, given_).fault == 1
    assert Made(module, (8, 8), spec, given_).fault == 1  # without any resizing


@settings(max_examples=60)
@given(
    size=FRAMES,
    network=INPUTS,
    aspect=st.sampled_from(Aspect),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int32]),
    seed=st.integers(0, 1000),
)
def test_class_ids_equal_pixels(
    module: Module,
    size: tuple[int, int],
    network: tuple[int, int],
    aspect: Aspect,
    dtype: type[np.integer],
    seed: int,
) -> None:
    spec = InputSpec(height=4 * network[0], width=4 * network[1], aspect=aspect, **PLAIN)
    classes = 256 if dtype == np.uint8 else 300
    shape = (1, spec.height, spec.width)
    ids = np.random.default_rng(seed).integers(0, classes, shape).astype(dtype)
    made = Made(module, size, spec, ids, classes)
    expected = to_frame_mask(ids, spec, np.empty((*size, 3), np.uint8))
    np.testing.assert_array_equal(made.mask, expected)
    np.testing.assert_array_equal(made.counts, np.bincount(expected.ravel(), minlength=classes))
    assert made.fault == 0


@pytest.mark.parametrize("wrong", [-1, 12, 70000])
def test_an_id_of_no_class_is_a_fault(module: Module, wrong: int) -> None:
    ids = np.zeros((1, 32, 32), np.int32)
    ids[0, 31, 31] = wrong
    made = Made(module, (64, 64), InputSpec(height=32, width=32, **PLAIN), ids, 12)
    assert made.fault == 2
    assert made.counts[0] == made.counts.sum() == 64 * 64


def test_every_float16_is_the_same_number_in_float32(host_driver: str) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16)
    made = np.empty(len(halves), np.float32)
    convert = ctypes.CDLL(host_driver).convert_halves
    convert.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    convert(halves.ctypes.data, made.ctypes.data, len(halves))
    np.testing.assert_array_equal(made, halves.view(np.float16).astype(np.float32))
