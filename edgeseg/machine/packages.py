"""Finds which packages are installed, without importing them."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from edgeseg.targets import TARGETS, Target

__all__ = ["find_engine_version", "find_version", "hash_code", "list_tools"]

_TOOLS: Final = ("edgeseg", "numpy", "pillow", "torch")


def find_version(package: str) -> str | None:
    """Find a package's version; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def hash_code() -> str:
    """Hash edgeseg's own modules: its version does not change between commits."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    # In a checkout, some folders of the package are links.
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                path = Path(folder, name)
                digest.update(f"{path.relative_to(root).as_posix()} ".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def find_engine_version(target: Target) -> str | None:
    """Find the version of a target's engine, from whichever distribution brings it."""
    found = map(find_version, (*target.builds, target.engine))
    return next((version for version in found if version is not None), None)


def list_tools() -> dict[str, str]:
    """List the versions of what results depend on, Python's first."""
    engines = (row.package for row in TARGETS.values() if row.package is not None)
    versions = {name: find_version(name) for name in (*_TOOLS, *engines)}
    found = {name: version for name, version in versions.items() if version is not None}
    return {"python": platform.python_version(), **found}
