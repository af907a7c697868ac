"""What must hold for a hundred thousand images: each is read, counted and let go."""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import Rules, Sample, Survey
from edgeseg.datasets.items import FilePair
from edgeseg.datasheet.looking import look_at
from edgeseg.labels import Labels
from edgeseg.progress import SILENT, Progress
from edgeseg.reports.report import Report, encode_report
from edgeseg.verification.measuring import Share, join_shares
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

_opened: Counter[str] | None = None


def _hear(event: str, details: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open":
        _opened[str(details[0])] += 1


sys.addaudithook(_hear)  # once, for no process can take it back


@pytest.fixture
def opened() -> Iterator[Counter[str]]:
    """How often each file is opened, by whatever library."""
    global _opened
    _opened = Counter()
    yield _opened
    _opened = None


def ask(bundle: Bundle, street: Path, **more: object) -> VerifyRequest:
    return VerifyRequest(source=str(bundle.folder), data=str(street), split="test", **more)


def test_a_file_is_opened_to_hash_it_and_to_decode_it(
    seeded_bundle: Bundle,
    street: Path,
    opened: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgeseg.datasets.hashing._known", {})  # by tests that came before
    verify(ask(seeded_bundle, street))
    files = {str(path) for path in (street / "test").rglob("*.*") if path.suffix != ".json"}
    assert len(files) == 20
    assert {opened[name] for name in files} == {2}


@pytest.mark.parametrize("command", ["verify", "data"])
def test_no_image_is_kept_while_the_next_is_read(
    seeded_bundle: Bundle,
    street: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
) -> None:
    alive: list[int] = []
    images: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
    read = FilePair.read

    def watched(pair: FilePair) -> Sample:
        sample = read(pair)
        images[len(alive)] = sample.image
        alive.append(len(images))
        return sample

    monkeypatch.setattr(FilePair, "read", watched)
    if command == "verify":
        verify(ask(seeded_bundle, street, report=tmp_path / "report"))
    else:
        look_at(str(street), split="test", rules=Rules(), pictures=3, progress=SILENT)
    assert len(alive) == (20 if command == "verify" else 10)  # a report draws all ten again
    assert max(alive) == 1


def test_every_step_is_heard_with_its_count(
    seeded_bundle: Bundle, street: Path, report: Report, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    old.write_bytes(encode_report(report))
    heard: dict[str, list[int]] = {}

    def hear(name: str, done: int, total: int = 0, _unit: str = "image", /) -> None:
        heard[name] = [done, total]

    asked = ask(seeded_bundle, street, baseline=old, report=tmp_path / "report")
    verify(asked, progress=Progress(phase=hear))
    ended = {name: ends for name, ends in heard.items() if ends[1]}
    assert all(done == total for done, total in ended.values())
    assert set(ended) >= {
        "hashing", "measuring", "drawing the images again", "timing", "drawing the hardest images",
    }  # fmt: skip
    assert {"listing the images", "measuring memory", "writing the report"} <= set(heard)


def test_no_share_of_a_cluster_is_kept() -> None:
    """Each has the counts of all pairs of classes: half a megabyte with 150."""
    labels = Labels(classes=("road", "car"), palette=((0, 0, 0),) * 2)
    alive: list[int] = []

    def count() -> Iterator[Share]:
        kept: weakref.WeakSet[Counts] = weakref.WeakSet()
        for _ in range(5):
            counts = Counts(labels, ignore_index=255)
            mask = np.ones((2, 3), np.uint8)
            counts.add(Masks(mask, mask, mask))
            kept.add(counts)
            alive.append(len(kept))
            yield make_share(counts)
            del counts

    whole = join_shares(count(), labels)
    assert whole.counts.images == 5
    assert whole.counts.candidate.total.tolist() == [[0, 0], [0, 30]]
    assert max(alive) <= 2


def make_share(counts: Counts) -> Share:
    return Share(
        counts=counts, hashes=("0",), measured=(), skipped=(), converted=(), shrunk=(),
        survey=Survey(),
    )  # fmt: skip
