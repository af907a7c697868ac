"""Loading and launching kernels by the calls of CUDA's driver, whose library is compiled here."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.errors import BackendError
from edgeseg.runtime.gpu import module as modules
from edgeseg.runtime.gpu.launches import Launch
from edgeseg.runtime.gpu.module import Module


@pytest.mark.parametrize("threads", [(1, 1), (33, 9), (32, 8), (31, 1)], ids=str)
def test_a_launch_covers_its_threads_and_no_more(module: Module, threads: tuple[int, int]) -> None:
    """`pick_pixels` writes one pixel a thread."""
    width, height = threads
    frame = np.arange(height * width * 3, dtype=np.uint8)
    rows, columns = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
    canvas = np.full(frame.size + 99, 7, np.uint8)
    launch = Launch(
        kernel="pick_pixels",
        threads=threads,
        arguments=("frame", "rows", "columns", "canvas", width, height, width, height, width, 0),
    )
    arrays = {"frame": frame, "rows": rows, "columns": columns, "canvas": canvas}
    module.launch(launch, {name: array.ctypes.data for name, array in arrays.items()}, 0)
    np.testing.assert_array_equal(canvas[: frame.size], frame)
    assert (canvas[frame.size :] == 7).all()


def test_an_unknown_kernel_is_one_line(module: Module) -> None:
    with pytest.raises(BackendError) as caught:
        module.launch(Launch(kernel="absent", threads=(1, 1), arguments=()), {}, 0)
    assert str(caught.value) == (
        "cuModuleGetFunction failed for absent: named symbol not found (CUDA error 500); "
        "run: edgeseg doctor"
    )


def test_a_refused_launch_names_the_kernel(module: Module) -> None:
    launch = Launch(kernel="clear", threads=(0, 1), arguments=(0, 0, 0))
    with pytest.raises(BackendError, match="^cuLaunchKernel failed for clear: .*CUDA error 1"):
        module.launch(launch, {}, 0)


def test_refused_code_is_one_line(host_driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_LIBRARIES", (host_driver,))
    with pytest.raises(BackendError, match="^cuModuleLoadData failed: device kernel image is inv"):
        Module(b"damaged")


def test_closing_twice_is_harmless(host_driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_LIBRARIES", (host_driver,))
    kernels = Module(b"for the host")
    kernels.close()
    kernels.close()


def test_no_driver_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_LIBRARIES", ("libnothing.so",))
    with pytest.raises(BackendError, match="no CUDA driver was found.*nvidia-jetpack"):
        Module(b"")
