"""The kernels without a GPU: g++ compiles their source, behind the calls of CUDA's driver."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.runtime.gpu import launches
from edgeseg.runtime.gpu.launches import FramePlan, Launch
from edgeseg.runtime.gpu.module import Module

__all__ = ["SOURCES", "HostFrame", "build_driver"]

SUPPORT = Path(__file__).parent
SOURCES = Path(launches.__file__).parent
# No instruction of x86 or Arm may fuse a multiplication and an addition: NumPy has none either.
OPTIONS = ("-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
GUARD = 64
WATCHED = np.uint8(0xAB)
QUIET = ("-Wno-unknown-pragmas", "-Wno-cast-function-type", "-Wno-parentheses")


def build_driver(folder: Path) -> None:
    """Compile `libcuda.so` into the folder."""
    text = "".join(path.read_text() for path in SOURCES.glob("*.cuh"))
    names = re.findall(r'extern "C" __global__ void (\w+)\(', text)
    source = folder / "driver.cpp"
    source.write_text(
        '#include "cuda_on_host.h"\n#include "pixels.cu"\n'
        f"#define KERNELS {' '.join(f'KERNEL({name})' for name in names)}\n"
        '#include "driver_on_host.cpp"\n'
    )
    command = ["g++", *OPTIONS, *QUIET, "-shared", "-fPIC", "-o", str(folder / "libcuda.so")]
    command += [f"-I{SUPPORT}", f"-I{SOURCES}", str(source)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


class HostFrame:
    """The buffers and tables of a plan in the host's memory, each between bytes to watch."""

    def __init__(self, plan: FramePlan, module: Module) -> None:
        self._module = module
        self._plan = plan
        assert not plan.tables.keys() & plan.buffers.keys()
        sizes = {**plan.buffers, **{name: table.nbytes for name, table in plan.tables.items()}}
        self._arrays = {name: np.full(size + 2 * GUARD, WATCHED) for name, size in sizes.items()}
        for name, table in plan.tables.items():
            self._put(name, table)

    def prepare(self, frame: npt.NDArray[np.uint8]) -> None:
        self._put("frame", frame)
        self._launch(self._plan.before)

    def finish(self, output: npt.NDArray[np.generic]) -> None:
        self._put("output", output)
        self._launch(self._plan.after)

    def get(self, name: str, dtype: npt.DTypeLike, *shape: int) -> npt.NDArray[np.generic]:
        return self._arrays[name][GUARD:-GUARD].view(dtype).reshape(shape)

    def _put(self, name: str, array: npt.NDArray[np.generic]) -> None:
        self._arrays[name][GUARD:-GUARD] = np.frombuffer(array.tobytes(), np.uint8)

    def _launch(self, launches: tuple[Launch, ...]) -> None:
        addresses = {name: array.ctypes.data + GUARD for name, array in self._arrays.items()}
        constants = {name: self._arrays[name].copy() for name in self._plan.tables}
        for launch in launches:
            self._module.launch(launch, addresses, 0)
        for name, array in self._arrays.items():
            assert (array[:GUARD] == WATCHED).all(), name
            assert (array[-GUARD:] == WATCHED).all(), name
        assert all(np.array_equal(self._arrays[name], each) for name, each in constants.items())
