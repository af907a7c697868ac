"""Opens the location of a data set: a local folder, or a URL that fsspec reads like one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edgeseg.errors import DatasetError, MissingPackageError
from edgeseg.redact import redact, scrub

__all__ = ["is_remote", "is_served", "open_location"]

_INSTALL = "pip install 'edgeseg[dask]' -c constraints.txt"


def is_remote(path: object) -> bool:
    """Tell whether a path stands for a URL, or for a part of a file.

    It then has the methods of pathlib.Path, and not the class.
    """
    return not isinstance(path, Path)


def is_served(path: object) -> bool:
    """Tell whether a server delivers a path, or the file that it is a part of."""
    return is_remote(getattr(path, "container", path))


def open_location(source: str) -> Path:
    """Make a path of a folder's name, or of a URL such as `s3://bucket/street`.

    Raises:
        DatasetError: fsspec does not know this kind of URL, its package is not installed, or the
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
        raise DatasetError(f"{redact(source)} is a URL of no known kind: {reason}") from None
    except Exception as error:  # each kind of URL raises its own library's errors
        reason = scrub(str(error), source)
        raise DatasetError(f"{redact(source)} cannot be read: {reason}") from None
    return cast("Path", path)
