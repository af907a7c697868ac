"""Lists what a cell depends on.

A sweep keeps the result of an earlier run as long as nothing in the list has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgeseg.datasets import Dataset
from edgeseg.files.whole import compute_sha256
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import hash_code, list_tools
from edgeseg.progress import SILENT, Progress, track
from edgeseg.reports.report import Data
from edgeseg.segformer.form import AUTO, read_form
from edgeseg.sweep.plan import Cell, Plan
from edgeseg.verification.reader import hash_readable

__all__ = ["describe_data", "list_dependencies"]


def describe_data(dataset: Dataset, *, progress: Progress = SILENT) -> Data:
    """Describe a data set as reports do: its name, its split and the hash of all its files."""
    hashes = map(hash_readable, track(progress, "hashing", dataset.items))
    sha256 = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Data(name=dataset.title, split=dataset.split, sha256=sha256)


def list_dependencies(plan: Plan, cell: Cell, data: Data, dataset: Dataset) -> Mapping[str, object]:
    """List what a cell's bundle and report depend on, as values that JSON can hold.

    `data` describes `dataset`. A hub id stands for its weights: the hub is not asked whether they
    have changed.
    """
    export = plan.export
    return {
        "weights": cell.weights,
        "weights_sha256": _hash_content(cell.weights),
        "target": cell.target,
        "precision": cell.precision,
        "size": cell.size,
        "labels": export.labels,
        "labels_sha256": None if export.labels is None else _hash_content(export.labels),
        "overrides": msgspec.to_builtins(export.overrides),
        "data": msgspec.to_builtins(data),
        "classes": _describe_truth(dataset),
        "calibration": export.calibration,
        "calibration_files": None
        if export.calibration is None
        else _hash_listing(export.calibration),
        "calibration_images": export.calibration_images,
        "form": export.form,
        "form_digest": _hash_form(export.form),
        "limits": export.limits.values,
        "budget_s": export.budget_s,
        "threads": plan.verify.threads,
        "tools": list_tools(),
        "code_sha256": hash_code(),
        "cpu": describe_machine().cpu,
    }


def _describe_truth(dataset: Dataset) -> list[object] | None:
    """Describe how the masks are read: the class names, the ignored id, the rules."""
    labels = dataset.labels
    if labels is None:
        return [repr(dataset.rules)] if dataset.rules.given else None
    rules = repr(dataset.rules)
    return [list(labels.classes), labels.ignore_index, sorted(dataset.said), rules]


def _hash_listing(source: str) -> str:
    """Hash the names, sizes and times of files; to read many images would take long."""
    path = Path(source)
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
    stats = ((one, one.stat()) for one in files if one.is_file())
    lines = (f"{one} {stat.st_size} {stat.st_mtime_ns}" for one, stat in stats)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _hash_content(source: str) -> str | None:
    """Hash a file, or the files of a folder; None for another name, such as a hub id."""
    path = Path(source)
    if path.is_file():
        return compute_sha256(path)
    if not path.is_dir():
        return None
    hashes = (
        f"{one.name} {compute_sha256(one)}" for one in sorted(path.iterdir()) if one.is_file()
    )
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _hash_form(form: str | None) -> str | None:
    """Hash what a form computes, for its file may change; None where the search chooses."""
    return None if form in {None, AUTO} else read_form(form).digest
