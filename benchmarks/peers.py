"""Runs ONNX files that others made, of any network: finds out what they take and give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx.helper import tensor_dtype_to_np_dtype

from edgeseg.errors import SpecError
from edgeseg.pixels import to_mask
from edgeseg.spec import RGB
from edgeseg.text import explain

if TYPE_CHECKING:
    from edgeseg.pixels import ClassMap, Frame, Output

__all__ = ["Peer", "explain_output", "gives_logits", "make_mask", "read_peer"]

_BATCH_DIMENSIONS = 4  # (1, C, H, W) or (1, H, W, C)
_DTYPES = ("uint8", "float16", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A file under the name that the user gave it; `shape` and `dtype` are those of its input.

    A dimension that the file leaves open is 0.
    """

    name: str
    path: Path
    shape: tuple[int, ...]
    dtype: str

    def explain_misfit(self, height: int, width: int) -> str | None:
        """Explain why the file does not take one RGB image of this size; None where it does."""
        fitting = ((1, RGB, height, width), (1, height, width, RGB))
        if self.shape in fitting and self.dtype in _DTYPES:
            return None
        return f"takes {self.dtype} {self.shape}; a dimension of 0 is left open"

    def prepare(self, frame: Frame, pixels: np.ndarray) -> np.ndarray:
        """Put the uint8 (1, H, W, 3) BGR frame, or its float (1, 3, H, W), into the file's form."""
        planes = pixels if self.dtype != "uint8" else frame[..., ::-1].transpose(0, 3, 1, 2)
        arranged = planes if self.shape[1] == RGB else planes.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(arranged, self.dtype)


def read_peer(name: str, path: Path) -> Peer:
    """Read what an ONNX file takes.

    Raises:
        SpecError: the file cannot be read, or is no ONNX graph with one input.
    """
    try:
        content = path.read_bytes()
        graph = onnx.load_model_from_string(content).graph
    except OSError as error:
        raise SpecError(
            f"peer {name}: {path} cannot be read ({explain(error)}); name an ONNX file"
        ) from None
    except DecodeError:
        raise SpecError(f"peer {name}: {path} is no ONNX file; export the network again") from None
    if not content:
        raise SpecError(f"peer {name}: {path} is empty; export the network again")
    weights = {weight.name for weight in graph.initializer}
    inputs = [given for given in graph.input if given.name not in weights]
    if len(inputs) != 1:
        raise SpecError(
            f"peer {name}: {path} has {len(inputs)} inputs; name a file with one, the image"
        )
    tensor = inputs[0].type.tensor_type
    return Peer(
        name=name,
        path=path,
        shape=tuple(dimension.dim_value for dimension in tensor.shape.dim),
        dtype=tensor_dtype_to_np_dtype(tensor.elem_type).name,
    )


def gives_logits(output: Output) -> bool:
    """Tell logits, (1, classes, h, w), from a class map."""
    several = output.ndim == _BATCH_DIMENSIONS and output.shape[1] > 1
    return output.dtype.kind == "f" and several


def explain_output(output: Output, *, classes: int, height: int, width: int) -> str | None:
    """Explain why an output gives no mask of this size and classes; None where it does."""
    if gives_logits(output) and output.shape[1] == classes:
        return None
    if not gives_logits(output) and output.shape in {(1, height, width), (1, 1, height, width)}:
        return None
    return (
        f"gives {output.dtype} {output.shape}, neither logits (1, {classes}, h, w) nor a class map "
        f"(1, {height}, {width})"
    )


def make_mask(output: Output, *, height: int, width: int) -> ClassMap | Output:
    """Make the mask of logits at this size; a class map is its own mask."""
    if gives_logits(output):
        return to_mask(output.astype(np.float32, copy=False), height=height, width=width)
    return output
