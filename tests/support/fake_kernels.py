"""The real kernels on the fake CUDA: compiled for the host, and queued in its streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fake_cuda import FakeCuda, Queued

from edgeseg.errors import BackendError
from edgeseg.runtime.gpu import opening

if TYPE_CHECKING:
    import pytest

    from edgeseg.progress import Say
    from edgeseg.runtime.gpu.cuda import Cuda
    from edgeseg.runtime.gpu.launches import Launch
    from edgeseg.runtime.gpu.module import Module


class FakeKernels:
    """Launches the kernels of a module when the stream gets there."""

    def __init__(self, module: Module) -> None:
        self._module = module
        FakeCuda.held += 1

    def launch(self, launch: Launch, addresses: Mapping[str, int], stream: int) -> None:
        needed = {name: addresses[name] for name in launch.arguments if isinstance(name, str)}

        def call() -> None:
            self._module.launch(launch, needed, stream)

        FakeCuda().queue(stream, Queued(call, needs=frozenset(needed.values())))

    def close(self) -> None:
        FakeCuda.held -= 1


def install(monkeypatch: pytest.MonkeyPatch, module: Module | None) -> None:
    """Give every engine these kernels; without a module, none can be compiled."""

    def open_kernels(_cuda: Cuda, *, say: Say) -> FakeKernels:
        del say
        if module is None:
            raise BackendError("no NVRTC was found (libnvrtc)")
        return FakeKernels(module)

    monkeypatch.setattr(opening, "open_kernels", open_kernels)
