"""Refuses a training that the machine, or its GPU, has too little memory for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edgeseg.errors import ExportError
from edgeseg.memory import find_total_memory

__all__ = ["check_memory", "explain_full_gpu"]


def check_memory(elements: int) -> None:
    """Refuse to train where the values of one image do not fit into the memory, twice in float32.

    Raises:
        ExportError: they do not.
    """
    needed, there = 2 * 4 * elements, find_total_memory()
    if needed > there:
        raise ExportError(
            f"training needs about {needed / 1e9:.1f} GB of memory for one image, and "
            f"{there / 1e9:.1f} GB may be taken here; choose a smaller --size"
        )


@contextmanager
def explain_full_gpu() -> Iterator[None]:
    """Say what to do where the block finds the GPU's memory full.

    Raises:
        ExportError: it is.
    """
    try:
        yield
    except RuntimeError as error:
        # cuBLAS and cuDNN have errors of their own for it.
        if not isinstance(error, torch.OutOfMemoryError) and "ALLOC_FAILED" not in str(error):
            raise
        raise ExportError(
            "training does not fit into the GPU's memory; free some of it, choose a smaller "
            "--size, or train on the CPU with CUDA_VISIBLE_DEVICES= before the command"
        ) from None
