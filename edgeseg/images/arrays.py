"""Reads arrays that NumPy saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError

__all__ = ["read_array"]


def read_array(path: Path) -> npt.NDArray[Any]:
    """Read the one array of a `.npy` file, of any shape and type. Nothing is unpickled.

    Raises:
        SourceError: the file is missing, damaged, or holds no such array.
    """
    try:
        with path.open("rb") as file:
            found: Any = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except Exception as error:  # damaged headers raise errors of many kinds
        reason = str(getattr(error, "strerror", None) or error).partition("\n")[0].rstrip(".")
        raise SourceError(f"{path} cannot be read as an array: {reason}") from None
    if not isinstance(found, np.ndarray):
        raise SourceError(f"{path} holds several arrays; save one with numpy.save")
    return found
