"""Where a search keeps what it made and measured: a killed one goes on, nothing is done twice.

A folder of the user's cache for one question: same weights, same images, same versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgeseg.cache import cache_folder
from edgeseg.errors import BundleError
from edgeseg.files import written_whole

__all__ = ["Workspace", "open_workspace"]

# Workspaces of older questions beyond this number are removed.
KEPT: Final = 8


class Workspace:
    """A folder with artifacts, and JSON values by name. Values are written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """A place for a file."""
        return self.folder / name

    def recall(self, name: str) -> object:
        """The value kept under a name, or None."""
        try:
            content: object = json.loads(self.path(f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return content

    def keep(self, name: str, value: object) -> None:
        """Keep a JSON value."""
        with written_whole(self.path(f"{name}.json")) as partial:
            partial.write_text(json.dumps(value), "utf-8")


def open_workspace(question: Mapping[str, object]) -> Workspace:
    """The workspace for all that a result depends on; the same for the same content.

    Raises:
        BundleError: the cache cannot be written.
    """
    text = json.dumps(question, sort_keys=True, default=str)
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    root = cache_folder() / "searches"
    try:
        (root / name).mkdir(parents=True, exist_ok=True)
        os.utime(root / name)
        for old in sorted(root.iterdir(), key=lambda p: p.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise BundleError(
            f"the cache {root} cannot be written: {error.strerror}; set XDG_CACHE_HOME to a "
            f"folder that can"
        ) from None
    return Workspace(root / name)
