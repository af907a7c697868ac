"""What a folder holds, to be compared before and after."""

from __future__ import annotations

import hashlib
from pathlib import Path


def hashes(root: Path) -> dict[str, str]:
    """The hash of each file under a folder, where a link leads to, and that a folder is one."""
    return {path.relative_to(root).as_posix(): _hash(path) for path in sorted(root.rglob("*"))}


def _hash(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.is_dir():
        return "folder"
    return hashlib.sha256(path.read_bytes()).hexdigest()
