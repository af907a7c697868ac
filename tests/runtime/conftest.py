"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.runtime.segmenter import Segmenter


@pytest.fixture
def segmenter(seeded_bundle: Bundle) -> Iterator[Segmenter]:
    with Segmenter(seeded_bundle) as opened:
        yield opened
