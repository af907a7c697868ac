"""A stand-in for an engine's own package: a file format, a version and an API that no other has.

ONNX Runtime computes underneath. A model file is `MAGIC` and an ONNX file behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"pretend 1\n"
VERSION = "1.0"


def convert(onnx_file: bytes) -> bytes:
    """The content of a model file."""
    return MAGIC + onnx_file


def extract(model: bytes) -> bytes:
    """The ONNX file in a model file."""
    if not model.startswith(MAGIC):
        raise ValueError("this is no pretend model")
    return model[len(MAGIC) :]


class Model:
    """A model that runs, and counts its frames."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(extract(path.read_bytes()), options)
        (self._input,) = self._session.get_inputs()
        self.input_shape = tuple(self._input.shape)
        self.frames = 0

    def run(self, image: np.ndarray) -> np.ndarray:
        """The logits of a uint8 BGR (1, H, W, 3) image."""
        self.frames += 1
        (logits,) = self._session.run(None, {self._input.name: image})
        return logits
