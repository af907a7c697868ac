"""Names of the variants of a bundle for Jetson."""

from __future__ import annotations

from pathlib import Path

from edgeseg.bundle.store import Bundle


def graph(bundle: Bundle, name: str) -> Path:
    return bundle.path(next(v.file for v in bundle.manifest.variants if v.name == name))
