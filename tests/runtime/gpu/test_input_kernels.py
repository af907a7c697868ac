"""The kernels that make the network's input, compiled for the host, against `to_input`."""

from __future__ import annotations

import numpy as np
import pytest
from host_driver import HostFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.pixels import to_input
from edgeseg.runtime.gpu import input_plan
from edgeseg.runtime.gpu.module import Module
from edgeseg.runtime.gpu.plan import plan_frame
from edgeseg.spec import Aspect, InputSpec, Resize

SIZES = st.tuples(st.integers(1, 200), st.integers(1, 200))
INPUTS = st.tuples(st.integers(32, 96), st.integers(32, 96))


def assert_equals_to_input(module: Module, size: tuple[int, int], spec: InputSpec) -> None:
    said: list[str] = []
    shape = (1, 2, spec.height // 4, spec.width // 4)
    plan = plan_frame(*size, spec, output_shape=shape, output_dtype=np.float32, say=said.append)
    assert plan is not None, said
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    made = HostFrame(plan, module)
    made.prepare(frame)
    expected = to_input(frame, spec)
    np.testing.assert_array_equal(made.get("input", np.uint8, *expected.shape), expected)


@settings(max_examples=150)
@given(size=SIZES, network=INPUTS, rule=st.sampled_from(Resize), aspect=st.sampled_from(Aspect))
def test_inputs_equal_pixels_by_every_rule(
    module: Module, size: tuple[int, int], network: tuple[int, int], rule: Resize, aspect: Aspect
) -> None:
    spec = InputSpec(height=network[0], width=network[1], resize=rule, aspect=aspect)
    assert_equals_to_input(module, size, spec)


@pytest.mark.parametrize("rule", Resize, ids=lambda rule: rule.value)
@pytest.mark.parametrize("aspect", Aspect, ids=lambda aspect: aspect.value)
@pytest.mark.parametrize(
    "size",
    [(48, 64), (96, 128), (48, 128), (95, 64), (24, 32), (192, 256), (97, 131), (1, 1), (1, 500)],
    ids=str,
)
def test_inputs_equal_pixels_at_the_turning_points(
    module: Module, size: tuple[int, int], rule: Resize, aspect: Aspect
) -> None:
    """Same size, exact halves and quarters, one side alone, a single pixel."""
    spec = InputSpec(height=48, width=64, resize=rule, aspect=aspect, mean=(0.1, 0.5, 0.9))
    assert_equals_to_input(module, size, spec)


@pytest.mark.parametrize("rule", Resize, ids=lambda rule: rule.value)
def test_a_cameras_frame_equals_pixels(module: Module, rule: Resize) -> None:
    spec = InputSpec(height=256, width=512, resize=rule, aspect=Aspect.KEEP)
    assert_equals_to_input(module, (720, 1280), spec)


def test_a_library_that_rounds_otherwise_leaves_the_frame_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def to_other_input(frame: np.ndarray, spec: InputSpec) -> np.ndarray:
        return to_input(frame, spec) ^ 1

    monkeypatch.setattr(input_plan, "to_input", to_other_input)
    said: list[str] = []
    spec = InputSpec(height=32, width=32)
    shape = (1, 2, 8, 8)
    plan = plan_frame(48, 64, spec, output_shape=shape, output_dtype="f4", say=said.append)
    assert plan is None
    reason = "the library installed here resizes by pillow-bilinear in another way than the kernels"
    assert said == [f"the CPU prepares frames of 48x64 and makes their masks: {reason}"]
