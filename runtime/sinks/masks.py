"""Writes each mask as a PNG file of class ids, in the classes' colors, and a legend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from edgeseg.files.signature import SIGNATURE
from edgeseg.images import write_mask
from edgeseg.labels import Labels
from edgeseg.progress import Say
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.folder import FolderSink

__all__ = ["LEGEND", "open_mask_sink"]

LEGEND: Final = "legend.json"


def open_mask_sink(folder: Path, labels: Labels, say: Say) -> FolderSink:
    """Open a sink that writes each mask into a folder; `say` hears of an earlier run's masks."""

    def write(result: Result, path: Path) -> None:
        write_mask(result.mask, path, palette=labels.palette, software=SIGNATURE)

    return FolderSink(folder, "mask", write, beside={LEGEND: _write_legend(labels)}, say=say)


def _write_legend(labels: Labels) -> str:
    """Write each id's meaning and color, as JSON with one class on a line."""
    known = zip(labels.classes, labels.palette, strict=True)
    lines = [
        json.dumps({"id": index, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)})
        for index, (name, color) in enumerate(known)
    ]
    software = json.dumps(SIGNATURE)
    return f'{{"software": {software}, "classes": [\n' + ",\n".join(lines) + "\n]}\n"
