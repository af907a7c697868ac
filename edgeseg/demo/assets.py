"""The trained model that comes with edgeseg, as a checkpoint and as a bundle."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

__all__ = ["DEMO_VARIANT", "find_demo_bundle", "find_demo_checkpoint"]

DEMO_VARIANT: Final = "b0"


def find_demo_checkpoint() -> Path:
    """Find the folder of a SegFormer-B0 for drawn scenes, in Hugging Face's layout."""
    return _find_asset("demo_b0")


def find_demo_bundle() -> Path:
    """Find the same model as a bundle for ONNX Runtime, for devices that cannot export."""
    return _find_asset("demo_bundle")


def _find_asset(name: str) -> Path:
    return Path(str(resources.files("edgeseg").joinpath("data", name)))
