"""Keeps what a search made and measured, so that a killed search goes on where it was.

A workspace is a folder of the user's cache for one question: same weights, same images, same
versions. One process uses it at a time. Another with the same question waits, and finds the
answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from edgeseg.errors import BundleError, BusyError
from edgeseg.files.locks import hold_lock, name_lock_in
from edgeseg.files.whole import write_file
from edgeseg.machine.cache import find_cache_folder
from edgeseg.progress import Say

__all__ = ["Workspace", "open_workspace"]

# Workspaces of older questions beyond this number are removed.
KEPT: Final = 8


class Workspace:
    """A folder with artifacts, and JSON values by name. Values are written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open_part(self, name: str) -> Workspace:
        """Open a folder of this folder, made if need be, for the files of one part of the work."""
        part = self.path(name)
        part.mkdir(exist_ok=True)
        return Workspace(part)

    def path(self, name: str) -> Path:
        """The path of a file in the folder."""
        return self.folder / name

    def recall(self, name: str) -> object:
        """Read the value that was kept under a name; None where there is none."""
        try:
            content: object = json.loads(self.path(f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return content

    def keep(self, name: str, value: object) -> None:
        """Keep a JSON value."""
        write_file(self.path(f"{name}.json"), json.dumps(value).encode())


@contextmanager
def open_workspace(question: Mapping[str, object], *, say: Say) -> Iterator[Workspace]:
    """Open the workspace of a question: all that a result depends on. Equal questions share one.

    `say` tells that another process works on the same question, while this one waits.

    Raises:
        BundleError: the cache cannot be written.
    """
    text = json.dumps(question, sort_keys=True, default=str)
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    root = find_cache_folder() / "searches"

    def wait(holder: str) -> None:
        say(f"{holder} is searching the same; waiting for what it finds")

    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(name_lock_in(root / name), "the search", wait=wait))
            os.utime(root / name)
            _remove_old(root, keep=name)
        except OSError as error:
            raise BundleError(
                f"the cache {root} cannot be written: {error.strerror}; set XDG_CACHE_HOME to a "
                f"folder that can"
            ) from None
        yield Workspace(root / name)


def _remove_old(root: Path, *, keep: str) -> None:
    """Remove all but the newest; those in which a living process works stay."""
    ages: dict[Path, float] = {}
    for path in root.iterdir():
        with suppress(FileNotFoundError):  # another process has just removed it
            ages[path] = path.stat().st_mtime
    for old in sorted(ages, key=lambda path: ages[path])[:-KEPT]:
        with suppress(BusyError, OSError):
            if old.name != keep:
                with hold_lock(name_lock_in(old), old) as held:
                    if not held.alone:
                        continue
                    # Rename first: a process with the same question can begin anew meanwhile.
                    shutil.rmtree(old.rename(old.with_name(f"{old.name}.old")))
