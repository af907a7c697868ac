"""The trained model that comes with edgeseg, as a checkpoint and as a bundle."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

__all__ = ["DEMO_VARIANT", "demo_bundle", "demo_checkpoint"]

DEMO_VARIANT: Final = "b0"


def demo_checkpoint() -> Path:
    """The folder of a SegFormer-B0 for drawn scenes, CamVid's classes, in Hugging Face's form."""
    return _asset("demo_b0")


def demo_bundle() -> Path:
    """The same, exported for ONNX Runtime: for devices on which nothing can be exported."""
    return _asset("demo_bundle")


def _asset(name: str) -> Path:
    return Path(str(resources.files("edgeseg").joinpath("data", name)))
