"""Where a data set lies: a folder, or a place that fsspec reads, which behaves like one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edgeseg.errors import DatasetError, MissingPackageError
from edgeseg.redact import redact, scrub

__all__ = ["is_remote", "located"]

_INSTALL = "pip install 'edgeseg[dask]' -c constraints.txt"


def is_remote(path: object) -> bool:
    """Whether a path is one of a URL: those have pathlib's methods, and are of no class of its."""
    return not isinstance(path, Path)


def located(source: str) -> Path:
    """A path; of a URL such as `s3://bucket/street` one that reads over the network.

    Raises:
        DatasetError: a URL of no kind that fsspec knows, whose package is not installed, or whose
            server does not answer.
        MissingPackageError: universal_pathlib is not installed.
    """
    kind, mark, _ = source.partition("://")
    if not mark:
        return Path(source)
    try:
        from upath import UPath
    except ImportError:
        raise MissingPackageError(
            "universal_pathlib", purpose=f"reading {kind}:// URLs", command=_INSTALL
        ) from None
    try:
        path = UPath(source)
        path.exists()  # imports the package for this kind, and asks the server
    except ValueError as error:
        reason = scrub(str(error), source)
        raise DatasetError(f"{redact(source)} is of no known kind: {reason}") from None
    except Exception as error:  # each of fsspec's kinds has its library's own
        reason = scrub(str(error), source)
        raise DatasetError(f"{redact(source)} cannot be read: {reason}") from None
    return cast("Path", path)
