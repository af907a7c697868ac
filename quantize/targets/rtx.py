"""Typed graphs for TensorRT-RTX: those of a Jetson, in the same forms.

Its builder needs no GPU, but a plan is code, and none ships: the device builds plans of its own.
"""

from __future__ import annotations

from edgeseg.quantize.targets.jetson import (
    EFFORT,
    RECIPES,
    ROLES,
    check,
    convert,
    float_types,
    open_to_prove,
    prepare,
)

__all__ = [
    "EFFORT",
    "RECIPES",
    "ROLES",
    "check",
    "convert",
    "float_types",
    "open_to_prove",
    "prepare",
]
