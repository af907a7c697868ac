"""The bundle that we ship is as accurate as we say."""

from __future__ import annotations

import edgeseg


def test_the_bundle_keeps_its_accuracy() -> None:
    report = edgeseg.verify(
        "models/street",
        data="data/street",
        split="test",
        baseline="models/street-baseline.json",
        max_drop=0.5,
        report="edgeseg-report",
    )
    misses = [f"{gate.name}: {gate.value:.2f}, limit {gate.limit:.2f}" for gate in report.misses]
    assert not misses
    assert not [f"{one.name} was not judged: {one.told}" for one in report.unjudged]
    assert report.passed  # None where no limit applies
