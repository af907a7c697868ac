"""Reads JSON files that lie beside weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from edgeseg.errors import CheckpointError
from edgeseg.text import explain

__all__ = ["read_json"]


def read_json(path: Path) -> Mapping[str, object]:
    """Read a JSON object; an empty one where there is no such file.

    Raises:
        CheckpointError: the file cannot be read, or holds something other than a JSON object.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {explain(error)}; correct it, or move it away"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object; correct it, or move it away")
    return content
