"""What a plan holds, and which frames the CPU keeps."""

from __future__ import annotations

import re

import numpy as np
import pytest
from host_driver import SOURCES

from edgeseg.labels import Labels
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.plan import FramePlan, plan_frame
from edgeseg.runtime.legend import Legend
from edgeseg.spec import InputSpec, Resize, Upsampling

SPEC = InputSpec(height=64, width=96)
LABELS = Labels(classes=("road", "sky"), palette=((1, 2, 3), (4, 5, 6)), ignore_index=255)


def make_plan(spec: InputSpec = SPEC) -> FramePlan:
    drawing = Drawing(legend=Legend.of(LABELS), encoded=True)
    plan = plan_frame(
        72, 128, spec, output_shape=(1, 2, 16, 24), output_dtype="f2", drawing=drawing
    )
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    ("spec", "shape", "dtype", "reason"),
    [
        (InputSpec(height=64, width=96, mean=(0.5,) * 4, std=(0.2,) * 4), (1, 2, 16, 24), "f4",
         "the network takes 4 channels, and the kernels take three"),
        (SPEC, (4, 2, 16, 24), "f4",
         "the engine's output is (4, 2, 16, 24), and the kernels take one frame at a time"),
        (SPEC, (1, 2, 16, 24), "f8", "the engine's output is float64 (1, 2, 16, 24)"),
        (SPEC, (1, 64, 96), "f4", "the engine's output is float32 (1, 64, 96)"),
    ],
    ids=["channels", "batch", "type", "dimensions"],
)  # fmt: skip
def test_frames_that_the_cpu_keeps_have_a_reason(
    spec: InputSpec, shape: tuple[int, ...], dtype: str, reason: str
) -> None:
    said: list[str] = []
    plan = plan_frame(72, 128, spec, output_shape=shape, output_dtype=dtype, say=said.append)
    assert plan is None
    assert said == [f"the CPU prepares frames of 72x128 and makes their masks: {reason}"]


@pytest.mark.parametrize("upsampling", Upsampling)
@pytest.mark.parametrize("rule", Resize)
def test_every_launch_fits_its_kernels_parameters(rule: Resize, upsampling: Upsampling) -> None:
    """Pointers where the kernel takes pointers, of tables of its type, and integers elsewhere."""
    source = "".join(path.read_text() for path in SOURCES.glob("*.cuh"))
    kernels = dict(re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', source))
    plan = make_plan(InputSpec(height=64, width=96, resize=rule, upsampling=upsampling))
    types = {"int": np.int32, "float": np.float32, "Byte": np.uint8}
    for launch in (*plan.before, *plan.after):
        parameters = [each.strip() for each in kernels[launch.kernel].split(",")]
        assert len(parameters) == len(launch.arguments)
        for parameter, argument in zip(parameters, launch.arguments, strict=True):
            assert ("*" in parameter) == isinstance(argument, str), (launch.kernel, parameter)
            if argument in plan.tables:
                kind = parameter.removeprefix("const ").partition("*")[0]
                assert plan.tables[argument].dtype == types[kind]
            elif isinstance(argument, str):
                assert argument in plan.buffers


def test_buffers_have_the_sizes_that_their_names_promise() -> None:
    sizes = {
        "frame": 72 * 128 * 3,
        "input": 64 * 96 * 3,
        "output": 2 * 16 * 24 * 2,
        "mask": 72 * 128,
        "counts": 2 * 4,
        "fault": 4,
        "overlay": 72 * 128 * 3,
        "nv12": 72 * 128 * 3 // 2,
    }
    buffers = make_plan().buffers
    assert {name: buffers[name] for name in sizes} == sizes


def test_the_list_of_contenders_is_as_long_as_the_kernels() -> None:
    (listed,) = re.findall(r"#define LISTED (\d+)", (SOURCES / "mask.cuh").read_text())
    plan = make_plan()
    assert plan.buffers["contenders"] == 2 * int(listed) * plan.buffers["count"]
