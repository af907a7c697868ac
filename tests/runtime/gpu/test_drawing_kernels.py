"""The kernels that draw, compiled for the host, against `Overlay` and FFmpeg's conversion."""

from __future__ import annotations

import av
import numpy as np
import pytest
from host_driver import HostFrame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.launches import FramePlan
from edgeseg.runtime.gpu.module import Module
from edgeseg.runtime.gpu.plan import plan_frame
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.overlay import Overlay, pad_to_even
from edgeseg.spec import InputSpec

SPEC = InputSpec(height=32, width=64)
SIZES = st.tuples(st.integers(1, 70), st.integers(1, 70))


def make_labels(classes: int) -> Labels:
    colors = np.random.default_rng(classes).integers(0, 256, (classes, 3)).tolist()
    return Labels(
        classes=tuple(f"class {number}" for number in range(classes)),
        palette=tuple((red, green, blue) for red, green, blue in colors),
        ignore_index=65535 if classes > 255 else 255,
    )


def draw(module: Module, frame: Bgr, ids: ClassMap, legend: Legend) -> tuple[FramePlan, HostFrame]:
    """Draw with class ids of the network's size, (1, 32, 64)."""
    plan = plan_frame(
        *frame.shape[:2],
        SPEC,
        output_shape=ids.shape,
        output_dtype=ids.dtype,
        classes=256 if ids.dtype == np.uint8 else 65536,
        drawing=Drawing(legend=legend, encoded=True),
    )
    assert plan is not None
    drawn = HostFrame(plan, module)
    drawn.prepare(frame)
    drawn.finish(ids)
    return plan, drawn


@settings(max_examples=60)
@given(
    size=SIZES,
    classes=st.integers(2, 300),
    clear=st.sets(st.sampled_from(["background", "ignore"])),
    seed=st.integers(0, 1000),
)
@example(size=(10, 1), classes=256, clear=set(), seed=101)
def test_overlays_equal_the_cpus(
    module: Module, size: tuple[int, int], classes: int, clear: set[str], seed: int
) -> None:
    """Clear classes show the frame; ids beyond the classes are black."""
    random = np.random.default_rng(seed)
    legend = Legend(
        labels=make_labels(classes),
        ids=tuple(range(classes)),
        background=1 if "background" in clear else None,
        ignore=classes if "ignore" in clear else None,
    )
    dtype = np.uint8 if classes < 256 else np.uint16
    ids = random.integers(0, min(classes + 3, 256 if classes < 256 else 400), (1, 32, 64))
    frame = random.integers(0, 256, (*size, 3), np.uint8)
    _, drawn = draw(module, frame, ids.astype(dtype), legend)
    mask = drawn.get("mask", dtype, *size)
    np.testing.assert_array_equal(
        drawn.get("overlay", np.uint8, *frame.shape), Overlay(legend).draw(frame, mask)
    )


def convert(module: Module, frame: Bgr, ids: ClassMap) -> tuple[Bgr, np.ndarray]:
    """The overlay and its NV12, (3/2 height, width)."""
    plan, drawn = draw(module, frame, ids, Legend.of(make_labels(200)))
    width = frame.shape[1] + frame.shape[1] % 2
    nv12 = drawn.get("nv12", np.uint8, plan.buffers["nv12"] // width, width)
    return drawn.get("overlay", np.uint8, *frame.shape), nv12


@pytest.mark.parametrize("size", [(48, 64), (47, 64), (48, 63), (1, 1), (33, 35)], ids=str)
def test_nv12_is_bt601_in_the_limited_range(module: Module, size: tuple[int, int]) -> None:
    """Within the rounding to whole numbers, by the standard's formula in float64."""
    random = np.random.default_rng(3)
    ids = random.integers(0, 200, (1, 32, 64)).astype(np.uint8)
    overlay, nv12 = convert(module, random.integers(0, 256, (*size, 3), np.uint8), ids)
    blue, green, red = np.moveaxis(pad_to_even(overlay).astype(np.float64), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    height = len(luma)
    np.testing.assert_allclose(nv12[:height], 16 + luma * 219 / 255, rtol=0, atol=0.51)
    for place, (color, share) in enumerate([(blue, 0.886), (red, 0.701)]):
        difference = 128 + (color - luma) / share * 112 / 255
        mean = difference.reshape(height // 2, 2, -1, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(nv12[height:, place::2], mean, rtol=0, atol=0.51)


def test_nv12_is_ffmpegs_within_a_step(module: Module) -> None:
    """FFmpeg computes luma and chroma in 15 bits with a rounding of its own.

    It also makes chroma of a wider neighborhood. So the inner parts of flat blocks are compared.
    """
    random = np.random.default_rng(4)
    frame = random.integers(0, 256, (16, 24, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    overlay, nv12 = convert(module, frame, np.full((1, 32, 64), 7, np.uint8))
    expected = av.VideoFrame.from_ndarray(overlay, format="bgr24").reformat(format="nv12")
    distance = np.abs(nv12.astype(int) - expected.to_ndarray())
    assert (distance[:256] <= 1).all()
    chroma = distance[256:].reshape(16, 8, 24, 16)  # blocks of 8 rows, and of 8 pairs
    assert (chroma[:, 3:5, :, 6:10] <= 1).all()
