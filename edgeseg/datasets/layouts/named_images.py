"""Finds the images that another file names, inside the data set's folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from edgeseg.errors import DatasetError

__all__ = ["find_named_image"]


def find_named_image(name: str, folders: Sequence[Path], *, origin: Path) -> Path:
    """Find an image below one of the folders; the path in the first of them if it is in none.

    `name` may have the separators of Windows. `origin` is the file that names it.

    Raises:
        DatasetError: the name is empty, or leads outside the folders.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    drive = PureWindowsPath(name).drive
    if not parts or ".." in parts or parts[0] == "/" or drive or not name.isprintable():
        raise DatasetError(
            f"{origin} names the image {name!r}, and edgeseg reads only images inside "
            f"{folders[0]}; correct the name"
        )
    paths = [folder.joinpath(*parts) for folder in folders]
    return next((path for path in paths if path.exists()), paths[0])
