"""Reports of small verifications."""

from __future__ import annotations

from pathlib import Path

import edgeseg
from edgeseg.bundle.store import Bundle
from edgeseg.reports.report import Report


def verified(bundle: Bundle | Path, street: Path, **options: object) -> Report:
    folder = bundle.folder if isinstance(bundle, Bundle) else bundle
    return edgeseg.verify(folder, data=street, split="test", **options)
