"""Finds how much memory this process may take: the machine's, or its container's or service's.

Linux gives a group of processes (a cgroup) a limit of its own, and kills what exceeds it. The limit
of every group above holds as well. Both versions of the kernel's interface are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["find_free_memory", "find_total_memory"]


def find_total_memory(root: Path = Path("/")) -> int:
    """Find the bytes that this process may ever take; `root` is where the system is read."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(physical, *(group.limit for group in _read_groups(root)))


def find_free_memory(root: Path = Path("/")) -> int | None:
    """Estimate the bytes that this process may still take; None where they are unknown."""
    try:
        lines = (root / "proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    if not found:
        return None
    return min(int(found[0][1]) << 10, *(group.free for group in _read_groups(root)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What one group may take and has taken, in bytes."""

    limit: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What one version of the interface calls its folder and files."""

    folder: str
    limit: str
    used: str
    cached: str  # cached files, which the kernel drops when it needs the memory


_V1 = _Names(
    folder="sys/fs/cgroup/memory",
    limit="memory.limit_in_bytes",
    used="memory.usage_in_bytes",
    cached="total_inactive_file",
)
_V2 = _Names(
    folder="sys/fs/cgroup",
    limit="memory.max",
    used="memory.current",
    cached="inactive_file",
)
# Larger than any machine's memory: stands for no limit, in a form that min() takes.
_NO_LIMIT = _Group(limit=1 << 63, used=0)


def _read_groups(root: Path) -> Iterator[_Group]:
    """Yield this process's group and all above it; at least one group, without a limit."""
    yield _NO_LIMIT
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            names = _V1 if controllers else _V2
            # In a container the mount begins at its own group, and the path may be the host's.
            for above in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield _read_group(root / names.folder / above.relative_to("/"), names)


def _read_group(folder: Path, names: _Names) -> _Group:
    try:
        limit = int((folder / names.limit).read_text("ascii"))
        used = int((folder / names.used).read_text("ascii"))
        stat = (folder / "memory.stat").read_text("ascii").splitlines()
    except (OSError, ValueError):  # `max`, or the topmost group: no limit
        return _NO_LIMIT
    cached = dict(line.split(" ", 1) for line in stat).get(names.cached, "0")
    return _Group(limit=limit, used=used - int(cached))
