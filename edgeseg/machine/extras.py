"""The optional parts of edgeseg, and one message for all packages that are missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edgeseg.errors import MissingPackageError
from edgeseg.machine.packages import find_version
from edgeseg.text import join_words

__all__ = ["EXTRAS", "Extra", "make_install_command", "require"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """The purpose of an extra of the installation, and its packages by the module they bring.

    `libraries` are packages that bring no module.
    """

    what: str
    packages: MappingProxyType[str, str]
    libraries: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed; nothing is imported to find out."""
        modules = (p for m, p in self.packages.items() if importlib.util.find_spec(m) is None)
        return (*modules, *(name for name in self.libraries if find_version(name) is None))

    @property
    def names(self) -> tuple[str, ...]:
        """All its packages."""
        return (*self.packages.values(), *self.libraries)


def _make_extra(what: str, *libraries: str, **packages: str) -> Extra:
    return Extra(what=what, packages=MappingProxyType(packages), libraries=libraries)


# The keys are the names in pyproject.toml.
EXTRAS: Final = MappingProxyType(
    {
        "opencv": _make_extra("cameras, streams and videos", cv2="OpenCV"),
        "video": _make_extra("videos and streams, and saving videos (run --save)", av="av"),
        "bag": _make_extra("ROS bags and MCAP files", rosbags="rosbags"),
        "preview": _make_extra(
            "watching in a browser (run --preview)",
            uvicorn="uvicorn",
            starlette="starlette",
            prometheus_client="prometheus-client",
        ),
        "openvino": _make_extra("bundles for OpenVINO", openvino="openvino"),
        "rtx": _make_extra(
            "bundles for NVIDIA RTX GPUs",
            "nvidia-cuda-nvrtc",
            "nvidia-cuda-runtime",
            tensorrt_rtx_bindings="tensorrt-rtx-cu13-bindings",
            tensorrt_rtx_libs="tensorrt-rtx-cu13-libs",
        ),
        "report": _make_extra("HTML reports (verify --report, sweep)", jinja2="jinja2"),
        "dask": _make_extra(
            "Dask clusters and data at URLs", distributed="distributed", upath="universal-pathlib"
        ),
        "coco": _make_extra("polygons of COCO and CVAT", pycocotools="pycocotools"),
        "parquet": _make_extra("Parquet files of Hugging Face", pyarrow="pyarrow"),
        "geo": _make_extra(
            "TIFFs of any number of bands and bits, GeoTIFF masks", rasterio="rasterio"
        ),
        "export": _make_extra(
            "checkpoints (export, sweep, inspect)",
            torch="torch",
            onnx="onnx",
            safetensors="safetensors",
            huggingface_hub="huggingface-hub",
            nncf="nncf",
        ),
    }
)


def make_install_command(extras: Iterable[str]) -> str:
    """Make the command that installs the extras, in versions tested together."""
    return f"pip install 'edgeseg[{','.join(extras)}]' -c constraints.txt"


def require(purpose: str, extras: Iterable[str]) -> None:
    """Check that all extras are there, before any work is done.

    Raises:
        MissingPackageError: names every package that is missing, and one command for all.
    """
    lacking = {name: EXTRAS[name].missing for name in extras}
    packages = [package for missing in lacking.values() for package in missing]
    if packages:
        command = make_install_command(name for name, missing in lacking.items() if missing)
        raise MissingPackageError(join_words(packages), purpose=purpose, command=command)
