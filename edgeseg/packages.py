"""Which packages are installed, without importing them."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

__all__ = ["installed", "tools"]

_TOOLS: Final = ("edgeseg", "numpy", "onnxruntime", "openvino", "pillow", "torch")


def installed(package: str) -> str | None:
    """Its version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def tools() -> dict[str, str]:
    """The versions of what results depend on, Python's first."""
    found = {name: version for name in _TOOLS if (version := installed(name)) is not None}
    return {"python": platform.python_version(), **found}
