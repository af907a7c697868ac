"""An artifact's graph as a list of steps on named values, and the constants that training changes.

A program is read from an ONNX or an OpenVINO file, run in PyTorch, and written back to the same
file with other constants. Nodes, shapes and the places of quantizers stay as the target's own
quantizer made them, so what is trained is what the engine rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Array", "Constant", "Kind", "Program", "Quantization", "Step", "Values"]

Array: TypeAlias = npt.NDArray[np.float32]
Values: TypeAlias = Mapping[str, Array]


class Kind(Enum):
    """What a constant is to the training."""

    FIXED = "fixed"
    WEIGHT = "weight"  # of a convolution or a matrix product
    SHIFT = "shift"  # a bias, or the gain or shift of a LayerNorm
    SCALE = "scale"  # the step of a quantizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A float constant; `unit` is the size of a small step of it, in the shape of `value`.

    The unit of what is quantized is the quantizer's step.
    """

    value: Array
    kind: Kind
    unit: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node: `compute` makes the value `output` from those of `inputs`."""

    name: str
    inputs: tuple[str, ...]
    output: str
    compute: Callable[..., Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """A quantizer and its inverse: `source` in whole steps of `scale`, from `lowest` to `highest`.

    `lowest` and `highest` are whole numbers of steps, for the whole value or for each channel; zero
    lies between them.
    """

    name: str
    source: str
    scale: str
    lowest: Array
    highest: Array
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The steps from the image `source`, uint8 (1, H, W, C), to the logits `result`.

    `write` writes an artifact in which these constants have other values.
    """

    source: str
    result: str
    steps: tuple[Step | Quantization, ...]
    constants: Mapping[str, Constant]
    write: Callable[[Values, Path], None]
