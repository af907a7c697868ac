"""NVIDIA's two libraries of one API: TensorRT, and TensorRT-RTX for desktops.

Both parse the same typed graph, build a plan from it, and run the plan. TensorRT measures kernels
while it builds. TensorRT-RTX builds without a GPU, and compiles kernels when a plan is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from edgeseg.errors import BackendError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["RTX", "TENSORRT", "Api", "Library"]


class Api(Protocol):
    """What edgeseg uses of either module; stubs/tensorrt has the details."""

    __version__: str
    Builder: type[tensorrt.Builder]
    ComputeCapability: type[tensorrt.ComputeCapability]
    ILogger: type[tensorrt.ILogger]
    IProgressMonitor: type[tensorrt.IProgressMonitor]
    MemoryPoolType: type[tensorrt.MemoryPoolType]
    NetworkDefinitionCreationFlag: type[tensorrt.NetworkDefinitionCreationFlag]
    OnnxParser: type[tensorrt.OnnxParser]
    Runtime: type[tensorrt.Runtime]
    TensorIOMode: type[tensorrt.TensorIOMode]

    def nptype(self, trt_type: tensorrt.DataType, /) -> type[object]:
        """Give NumPy's type for one of the library's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One of the two libraries.

    `name` is for messages. `modules` are tried in order. `missing` is the message where none is
    installed. `folder` of the user's cache holds its plans, apart from the other library's.
    `takes` says how long a build takes. `just_in_time` libraries compile kernels when a plan is
    opened, and give them to be kept.
    """

    name: str
    modules: tuple[str, ...]
    missing: str
    folder: str
    takes: str
    just_in_time: bool = False

    def load(self) -> Api:
        """Import the library.

        Raises:
            BackendError: it is not installed; the message says what to do.
        """
        for module in self.modules:
            try:
                return cast("Api", import_module(module))
            except ImportError:  # noqa: PERF203  # the next name is tried
                continue
        raise BackendError(self.missing)

    @property
    def full_name(self) -> str:
        """The name with the installed version; raises as `load` does."""
        return f"{self.name} {self.load().__version__}"


TENSORRT: Final = Library(
    name="tensorrt",
    modules=("tensorrt",),
    missing=(
        "this bundle needs TensorRT, which comes with JetPack and not from pip; in a virtual "
        "environment make it visible: python3 -m venv --system-site-packages; see docs/jetson.md"
    ),
    folder="engines",
    takes="some minutes",
)

RTX: Final = Library(
    name="tensorrt-rtx",
    # NVIDIA's archive installs the first name, its wheels on the package index the second.
    modules=("tensorrt_rtx", "tensorrt_rtx_bindings"),
    missing=(
        "this bundle needs TensorRT-RTX; run: pip install 'edgeseg[rtx]' -c constraints.txt; "
        "see docs/rtx.md"
    ),
    folder="rtx_engines",
    takes="a minute at most",
    just_in_time=True,
)
