"""What `verify` does no more often than it has to, and what it leaves open no longer."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgeseg
from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.errors import BundleError, ClusterError
from edgeseg.labels import Labels
from edgeseg.progress import SILENT
from edgeseg.reports.report import encode_report
from edgeseg.sweep.identity import describe_data
from edgeseg.verification.cluster import Cluster
from edgeseg.verification.findings import make_accuracy_fields
from edgeseg.verification.measuring import Pair
from edgeseg.verification.opening import open_model
from edgeseg.verification.worker import Work, collect_facts, open_models


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened."""
    counts: Counter[str] = Counter()
    real = Path.open

    def counted(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if mode == "rb":
            counts[str(self)] += 1
        return real(self, mode, *args, **options)

    monkeypatch.setattr(Path, "open", counted)
    return counts


def settled(folder: Path) -> None:
    """Wait until a change would change the files' times."""
    newest = max(path.stat().st_ctime for path in folder.rglob("*"))
    time.sleep(max(0.0, newest + 2.1 - time.time()))


def test_a_data_set_is_hashed_once(
    seeded_bundle: Bundle,
    street: Path,
    tmp_path: Path,
    read: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also against a baseline, and where a sweep asks for every cell again."""
    monkeypatch.setattr("edgeseg.datasets.hashing._known", {})  # by tests that came before
    settled(street)
    args = {"data": street, "split": "test"}
    old = tmp_path / "old.json"
    old.write_bytes(encode_report(edgeseg.verify(seeded_bundle.folder, **args)))
    describe_data(open_dataset(street, split="test"))
    again = edgeseg.verify(seeded_bundle.folder, **args, baseline=old)
    assert again.passed
    files = {name: count for name, count in read.items() if "/masks/" in name}
    assert set(files.values()) == {2 + 1}  # measured twice, and hashed


def test_a_file_that_was_changed_has_another_hash(street: Path, tmp_path: Path) -> None:
    """Also where it is as long as before, and its time was set back."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for part in ("images", "masks"):
        source = min((street / "test" / part).iterdir())
        (tmp_path / part / source.name).write_bytes(source.read_bytes())
    settled(tmp_path)
    first = open_dataset(tmp_path).sha256
    assert open_dataset(tmp_path).sha256 == first
    (mask,) = (tmp_path / "masks").iterdir()
    status = mask.stat()
    mask.write_bytes(mask.read_bytes()[:-1] + b"x")
    os.utime(mask, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_dataset(tmp_path).sha256 != first


def test_images_are_not_stacked_for_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 150 classes and 100,000 images each stack copies hundreds of megabytes."""
    stacks = 0
    real = np.stack

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal stacks
        stacks += 1
        return real(*args, **options)

    def found(classes: int) -> int:
        nonlocal stacks
        names = tuple(f"class {place}" for place in range(classes))
        labels = Labels(classes=names, palette=((0, 0, 0),) * classes, ignore_index=255)
        counts = Counts(labels, ignore_index=255)
        for seed in range(6):
            mask = np.random.default_rng(seed).integers(0, classes, (24, 24)).astype(np.uint8)
            counts.add(Masks(mask, mask, mask))
        stacks = 0
        make_accuracy_fields(counts)
        return stacks

    monkeypatch.setattr(np, "stack", counted)
    assert found(40) == found(4)


def test_a_worker_whose_candidate_does_not_open_leaves_nothing_open(
    seeded_bundle: Bundle, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(str(seeded_bundle.folder))
    first = open_dataset(street, split="test").items[0]
    expected = collect_facts(Pair(candidate=model, reference=model, protocol="ss"), first)
    model.close()
    work = Work(
        key="no candidate", candidate=model.address, reference=model.address, protocol="ss",
        strict=False, first=first, expected=expected,
    )  # fmt: skip
    closed: list[str] = []

    def reopened(address: object) -> object:
        if address is work.candidate and len(asked) == 1:
            raise BundleError("it is gone")
        asked.append(address)
        return SimpleNamespace(close=lambda: closed.append("reference"))

    asked: list[object] = []
    monkeypatch.setattr("edgeseg.verification.worker.reopen", reopened)
    with pytest.raises(BundleError, match="it is gone"):
        open_models(work)
    assert closed == ["reference"]


def test_a_release_of_dask_that_is_not_known_is_told() -> None:
    class Other:
        """A client without what is relied on."""

    with pytest.raises(ClusterError, match="does not know distributed .*-c constraints.txt"):
        Cluster(Other(), SILENT).list_workers()  # type: ignore[arg-type]


def test_a_checkpoint_is_timed_only_where_a_limit_needs_it(
    edgeseg, seeded_bundle: Bundle, checkpoint_folder: Path, street: Path
) -> None:
    """PyTorch takes most of the time as it is."""
    args = ["verify", seeded_bundle.folder, "--data", street, "--split", "test",
            "--reference", checkpoint_folder, "--max-size-mb", "100", "--json"]  # fmt: skip
    outcome = edgeseg(*args)
    assert outcome.status == 0, outcome.err
    assert outcome.json["costs"]["reference"] is None
    assert "runs in PyTorch: it takes most of the time" in outcome.err
    timed = edgeseg(*args, "--max-latency-ratio", "1000")
    assert timed.json["costs"]["latency_ratio"] is not None
