"""Which packages are installed, without importing them."""

from __future__ import annotations

from importlib import metadata

__all__ = ["installed"]


def installed(package: str) -> str | None:
    """Its version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
