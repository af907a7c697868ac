"""Reports to compare, of hits by image and class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeseg.bundle.manifest import Machine
from edgeseg.reports.measured import ClassResult, ImageResult
from edgeseg.reports.report import Data, Report, Subject

ORIGIN = Path("old/report.json")


CLASSES = ("road", "car", "person", "bird")


def report(hits: np.ndarray, *, absent: tuple[int, int] | None = None, **fields: object) -> Report:
    """Of (images, classes) pixels that are right, of 1000 each; what is wrong is called road.

    Images from a place on do not show a class at all, where `absent` says both.
    """
    images = []
    for index, right in enumerate(hits):
        labelled = np.full(len(right), 1000)
        if absent is not None and index >= absent[0] and absent[1] < len(right):
            labelled[absent[1]] = 0
        right = np.minimum(right, labelled)
        predicted = right.copy()
        predicted[0] += (labelled - right).sum()
        images.append(
            ImageResult(
                name=f"image {index}",
                sha256=f"{index:064d}",
                classes=tuple(range(len(right))),
                labelled=tuple(labelled.tolist()),
                hits=tuple(right.tolist()),
                predicted=tuple(predicted.tolist()),
            )
        )
    values: dict[str, object] = {
        "passed": True,
        "created": "2026-01-01T00:00:00+00:00",
        "candidate": subject(),
        "data": Data(name="street", split="test", sha256="d"),
        "gates": (),
        "images": len(images),
        "classes": tuple(
            ClassResult(name=name, share=25, images=len(hits), counted=True)
            for name in CLASSES[: hits.shape[1]]
        ),
        "machine": Machine(cpu="c", architecture="x86_64", features=(), cores=2),
        "tools": {},
        "per_image": tuple(images),
    }
    return Report(**{**values, **fields})


def subject(**fields: object) -> Subject:
    values: dict[str, object] = {
        "kind": "bundle", "name": "b", "sha256": "s", "model": "b0", "precision": "int8",
        "engine": "e", "height": 96, "width": 128, "license": "unknown",
    }  # fmt: skip
    return Subject(**{**values, **fields})
